//! Which responses are right: every byte of the body is compared.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tidegate_bench::{FeedMessage, FeedRequest, echo_body, feed_content, framed};

use crate::options::{CallKind, Options};
use crate::tally::CallFailure;

/// The body to send and the body to get back.
pub(crate) struct Exchange {
    pub(crate) request: Bytes,
    expected: Expected,
}

enum Expected {
    /// `unit` repeated until `total` bytes are through.
    Bytes {
        unit: Bytes,
        total: u64,
    },
    HealthJson,
}

/// Body bytes seen so far.
#[derive(Default)]
pub(crate) struct Progress {
    offset: u64,
    text: Vec<u8>,
    wrong: bool,
}

impl Exchange {
    pub(crate) fn new(options: &Options, connection: usize) -> Self {
        match options.call {
            CallKind::Echo => {
                let body = echo_body(options.seed + connection as u64);
                Self { request: body.clone(), expected: Expected::Bytes { total: body.len() as u64, unit: body } }
            }
            CallKind::Feed => {
                let (messages, bytes) = (options.feed_messages, options.feed_bytes);
                let unit = framed(&FeedMessage { content: feed_content(bytes) });
                let total = unit.len() as u64 * u64::from(messages);
                Self { request: framed(&FeedRequest { messages, bytes }), expected: Expected::Bytes { unit, total } }
            }
            CallKind::HealthH2 | CallKind::HealthHttp1 => {
                Self { request: Bytes::new(), expected: Expected::HealthJson }
            }
        }
    }

    pub(crate) fn is_grpc(&self) -> bool {
        matches!(self.expected, Expected::Bytes { .. })
    }

    pub(crate) fn chunk(&self, progress: &mut Progress, chunk: &[u8]) {
        match &self.expected {
            Expected::HealthJson => progress.text.extend_from_slice(chunk),
            Expected::Bytes { unit, total } => {
                let mut rest = chunk;
                while !rest.is_empty() && !progress.wrong {
                    let start = (progress.offset % unit.len() as u64) as usize;
                    let length = rest.len().min(unit.len() - start);
                    progress.wrong = rest[..length] != unit[start..start + length];
                    progress.offset += length as u64;
                    rest = &rest[length..];
                }
                progress.wrong |= progress.offset > *total;
            }
        }
    }

    /// The verdict on a whole response; bytes of its body if it is right.
    pub(crate) fn verdict(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        progress: &Progress,
        trailers: Option<&HeaderMap>,
    ) -> Result<u64, CallFailure> {
        if status != StatusCode::OK {
            return Err(CallFailure::HttpStatus(status.as_u16()));
        }
        match &self.expected {
            Expected::HealthJson => {
                let serving = serde_json::from_slice::<Value>(&progress.text)
                    .is_ok_and(|body| body == serde_json::json!({"status": "SERVING"}));
                if serving { Ok(progress.text.len() as u64) } else { Err(CallFailure::BodyMismatch) }
            }
            Expected::Bytes { total, .. } => {
                let status = trailers.and_then(|trailers| trailers.get("grpc-status"));
                match status.or_else(|| headers.get("grpc-status")).map(|value| value.as_bytes()) {
                    None => Err(CallFailure::NoGrpcStatus),
                    Some(b"0") if !progress.wrong && progress.offset == *total => Ok(*total),
                    Some(b"0") => Err(CallFailure::BodyMismatch),
                    Some(other) => Err(CallFailure::GrpcStatus(String::from_utf8_lossy(other).into_owned())),
                }
            }
        }
    }
}
