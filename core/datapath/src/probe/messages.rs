//! The messages of a gRPC stream, compressed or not, and those of `grpc.health.v1`.

use flate2::Compression;
use flate2::read::{GzDecoder, GzEncoder};
use prost::Message;
use std::io::Read;

/// A health answer has a few bytes; what a newer version may add is small too.
pub(super) const MOST_BYTES: usize = 16 << 10;
const PREFIX: usize = 5;

#[derive(Clone, PartialEq, Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Clone, PartialEq, Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// HealthCheckRequest with its prefix.
pub(super) fn question(service: &str, gzip: bool) -> Vec<u8> {
    let mut message = HealthCheckRequest { service: service.to_owned() }.encode_to_vec();
    if gzip {
        let mut compressed = Vec::new();
        // Reading from memory cannot fail.
        let _ = GzEncoder::new(&message[..], Compression::fast()).read_to_end(&mut compressed);
        message = compressed;
    }
    let mut out = vec![u8::from(gzip)];
    out.extend_from_slice(&(message.len() as u32).to_be_bytes());
    out.append(&mut message);
    out
}

/// `status` of a HealthCheckResponse.
pub(super) fn answer(message: &[u8]) -> Result<i32, &'static str> {
    HealthCheckResponse::decode(message)
        .map(|response| response.status)
        .map_err(|_| "the answer is no HealthCheckResponse")
}

/// Puts messages together from DATA in any pieces.
#[derive(Debug, Default)]
pub(super) struct Messages {
    bytes: Vec<u8>,
    /// The answer's grpc-encoding is gzip.
    pub(super) gzip: bool,
}

impl Messages {
    pub(super) fn push(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
    }

    /// The next whole message.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, &'static str> {
        let [flag, a, b, c, d, rest @ ..] = &self.bytes[..] else { return Ok(None) };
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        if length > MOST_BYTES {
            return Err("the answer is longer than any health answer");
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = match flag {
            0 => body.to_vec(),
            1 if self.gzip => expand(body)?,
            1 => return Err("the answer is compressed in a way that was not asked for"),
            _ => return Err("the answer is no gRPC message"),
        };
        self.bytes.drain(..PREFIX + length);
        Ok(Some(message))
    }

    /// Nothing of a message is left over.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

fn expand(compressed: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut message = Vec::new();
    let limit = MOST_BYTES as u64 + 1;
    let read = GzDecoder::new(compressed).take(limit).read_to_end(&mut message);
    match read {
        Err(_) => Err("the answer's gzip is broken"),
        Ok(_) if message.len() > MOST_BYTES => Err("the answer is longer than any health answer"),
        Ok(_) => Ok(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], gzip: bool, piece: usize) -> Result<Vec<Vec<u8>>, &'static str> {
        let mut messages = Messages { gzip, ..Messages::default() };
        let mut read = Vec::new();
        for piece in bytes.chunks(piece) {
            messages.push(piece);
            while let Some(message) = messages.next()? {
                read.push(message);
            }
        }
        assert!(messages.is_empty());
        Ok(read)
    }

    #[test]
    fn messages_come_whole_however_they_were_cut() {
        let bytes = [question("a.Service", true), question("", false), question("b", true)].concat();
        for piece in 1..bytes.len() {
            let read = read(&bytes, true, piece).unwrap();
            assert_eq!(read, [&b"\x0a\x09a.Service"[..], b"", b"\x0a\x01b"]);
        }
    }

    #[test]
    fn what_is_no_health_answer_is_refused() {
        let refused = |bytes: &[u8], gzip| read(bytes, gzip, 4096).unwrap_err();
        assert!(refused(b"\0\0\x01\0\0", false).contains("longer"));
        assert!(refused(b"\x01\0\0\0\x01a", false).contains("not asked for"));
        assert!(refused(b"\x01\0\0\0\x01a", true).contains("broken"));
        assert!(refused(b"\x02\0\0\0\x01a", false).contains("no gRPC"));
        assert!(answer(b"\x0a").is_err());
        assert_eq!(answer(b"\x08\x02\x12\x01a"), Ok(2));
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let mut bomb = Vec::new();
        GzEncoder::new(&vec![0; 4 << 20][..], Compression::best()).read_to_end(&mut bomb).unwrap();
        assert!(bomb.len() < MOST_BYTES);
        let bytes = [&[1][..], &(bomb.len() as u32).to_be_bytes(), &bomb].concat();
        assert!(read(&bytes, true, 1 << 20).unwrap_err().contains("longer"));
    }
}
