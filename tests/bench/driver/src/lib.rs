//! What the load driver and the backend must agree on: the paths, the messages and their bytes.
//!
//! Neither shares code with the gateway, so that a mistake of the gateway cannot hide in what measures it.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

pub const ECHO: &str = "/api.Echo/Echo";
pub const FEED: &str = "/api.Echo/Feed";
pub const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";
pub const HEALTH_HTTP: &str = "/v1/health";

/// HTTP body of one unary call, in bytes: the 5-byte gRPC prefix and the message.
pub const ECHO_BODY_BYTES: usize = 100;

#[derive(Clone, PartialEq, Message)]
pub struct EchoMessage {
    #[prost(string, tag = "1")]
    pub content: String,
}

/// Asks for `messages` messages of `bytes` content bytes each.
#[derive(Clone, Copy, PartialEq, Message)]
pub struct FeedRequest {
    #[prost(uint32, tag = "1")]
    pub messages: u32,
    #[prost(uint32, tag = "2")]
    pub bytes: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct FeedMessage {
    #[prost(bytes = "bytes", tag = "1")]
    pub content: Bytes,
}

/// `message` behind the gRPC prefix (uncompressed flag, 32-bit big-endian length).
pub fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut body = BytesMut::with_capacity(5 + length);
    body.put_u8(0);
    body.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    body.put_slice(&message.encode_to_vec());
    body.freeze()
}

/// The body of one Echo call; `seed` makes the bodies of different connections differ.
pub fn echo_body(seed: u64) -> Bytes {
    const CONTENT_BYTES: usize = ECHO_BODY_BYTES - 5 - 2;
    let content = format!("{seed:016x}").chars().cycle().take(CONTENT_BYTES).collect();
    framed(&EchoMessage { content })
}

/// Content of every message of a feed: bytes that do not repeat at any power of two.
pub fn feed_content(bytes: u32) -> Bytes {
    (0..bytes).map(|index| (index % 251) as u8).collect()
}
