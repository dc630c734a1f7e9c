//! The body of a request: a known length, or chunks (RFC 9112 sections 6 and 7).
//!
//! The decoder looks at each byte once, whatever way the network cut the stream. Chunk framing is consumed as it
//! arrives; only trailers wait for the end of their line.

use super::error::Http1Error;
use super::fields::{TrailerFate, trailer_fate};
use super::head::BodyFraming;
use super::syntax::{is_field_value, split_field};

/// Enough for 2^60 bytes, and short enough not to hide anything behind zeros.
const MAX_SIZE_DIGITS: u32 = 15;
/// Nobody uses extensions; what they may add to a chunk and to a whole body.
const MAX_EXTENSION_OF_CHUNK: u32 = 256;
const MAX_EXTENSIONS: u32 = 4096;

#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Bytes of content; 0 is unlimited.
    pub body: u64,
    /// Bytes of all trailer lines.
    pub trailer_bytes: usize,
    pub trailers: usize,
}

/// What a call of [`BodyDecoder::decode`] found, after `consumed` bytes that can be forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step<'a> {
    pub consumed: usize,
    pub piece: Piece<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Content, never empty; part of what was consumed.
    Data(&'a [u8]),
    /// More bytes have to arrive; those not consumed stay in front of them.
    NeedMore,
    /// The body is complete; what follows belongs to the next request.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length {
        left: u64,
    },
    Size {
        size: u64,
        digits: u32,
    },
    Extension {
        size: u64,
        length: u32,
    },
    SizeLineFeed {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataReturn,
    DataLineFeed,
    /// `scanned` bytes of the unfinished line hold no line feed.
    Trailers {
        scanned: usize,
    },
    Done,
}

#[derive(Debug)]
struct Trailer {
    name: Vec<u8>,
    value: Vec<u8>,
}

/// Takes a request's body out of the bytes after its head.
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    limits: BodyLimits,
    /// Content announced so far.
    announced: u64,
    extensions: u32,
    trailer_bytes: usize,
    trailers: Vec<Trailer>,
}

impl BodyDecoder {
    /// Refuses a length over the limit before a byte of it has arrived.
    pub fn new(framing: BodyFraming, limits: BodyLimits) -> Result<BodyDecoder, Http1Error> {
        let state = match framing {
            BodyFraming::None | BodyFraming::Length(0) => State::Done,
            BodyFraming::Length(left) => State::Length { left },
            BodyFraming::Chunked => State::Size { size: 0, digits: 0 },
        };
        let mut decoder =
            BodyDecoder { state, limits, announced: 0, extensions: 0, trailer_bytes: 0, trailers: Vec::new() };
        if let State::Length { left } = state {
            decoder.announce(left)?;
        }
        Ok(decoder)
    }

    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Those that may be forwarded, when the body is complete. Names are lower case.
    pub fn trailers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.trailers.iter().map(|trailer| (&*trailer.name, &*trailer.value))
    }

    /// Takes the next piece from the front of `buffer`. To be called until it needs more or the body ends.
    pub fn decode<'a>(&mut self, buffer: &'a [u8]) -> Result<Step<'a>, Http1Error> {
        let mut at = 0;
        loop {
            let rest = buffer.get(at..).unwrap_or_default();
            match self.state {
                State::Done => return Ok(Step { consumed: at, piece: Piece::End }),
                State::Length { left } | State::Data { left } => {
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let Some(data) = rest.get(..length).filter(|data| !data.is_empty()) else {
                        return Ok(Step { consumed: at, piece: Piece::NeedMore });
                    };
                    self.state = self.after_data(left - length as u64);
                    return Ok(Step { consumed: at + length, piece: Piece::Data(data) });
                }
                State::Trailers { scanned } => match memchr::memchr(b'\n', rest.get(scanned..).unwrap_or_default()) {
                    Some(found) => {
                        let end = scanned + found;
                        self.check_trailer_bytes(end)?;
                        self.trailer_bytes += end;
                        let line = rest.get(..end).and_then(|line| line.strip_suffix(b"\r"));
                        self.take_trailer_line(line.ok_or(Http1Error::BareLineEnding)?)?;
                        at += end + 1;
                    }
                    None => {
                        self.check_trailer_bytes(rest.len())?;
                        self.state = State::Trailers { scanned: rest.len() };
                        return Ok(Step { consumed: at, piece: Piece::NeedMore });
                    }
                },
                _ => match rest.first() {
                    Some(&byte) => {
                        self.take_framing_byte(byte)?;
                        at += 1;
                    }
                    None => return Ok(Step { consumed: at, piece: Piece::NeedMore }),
                },
            }
        }
    }

    fn after_data(&self, left: u64) -> State {
        match (self.state, left) {
            (State::Length { .. }, 0) => State::Done,
            (State::Length { .. }, left) => State::Length { left },
            (_, 0) => State::DataReturn,
            (_, left) => State::Data { left },
        }
    }

    fn take_framing_byte(&mut self, byte: u8) -> Result<(), Http1Error> {
        self.state = match (self.state, byte) {
            (State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == MAX_SIZE_DIGITS {
                    return Err(Http1Error::ChunkSize);
                }
                let digit = (byte as char).to_digit(16).ok_or(Http1Error::ChunkSize)?;
                State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (State::Size { digits: 0, .. }, _) => return Err(Http1Error::ChunkSize),
            (State::Size { size, .. } | State::Extension { size, .. }, b'\r') => {
                self.announce(size)?;
                State::SizeLineFeed { size }
            }
            (State::Size { size, .. }, b';') => State::Extension { size, length: 1 },
            (State::Size { .. }, b'\n') => return Err(Http1Error::BareLineEnding),
            (State::Size { .. }, _) => return Err(Http1Error::ChunkSize),
            (State::Extension { size, length }, _) => {
                self.extensions += 1;
                if length == MAX_EXTENSION_OF_CHUNK || self.extensions > MAX_EXTENSIONS || !is_field_value(&[byte]) {
                    return Err(Http1Error::ChunkExtensions);
                }
                State::Extension { size, length: length + 1 }
            }
            (State::SizeLineFeed { size: 0 }, b'\n') => State::Trailers { scanned: 0 },
            (State::SizeLineFeed { size }, b'\n') => State::Data { left: size },
            (State::SizeLineFeed { .. }, _) => return Err(Http1Error::BareLineEnding),
            (State::DataReturn, b'\r') => State::DataLineFeed,
            (State::DataLineFeed, b'\n') => State::Size { size: 0, digits: 0 },
            _ => return Err(Http1Error::ChunkEnd),
        };
        Ok(())
    }

    fn announce(&mut self, size: u64) -> Result<(), Http1Error> {
        self.announced = self.announced.checked_add(size).ok_or(Http1Error::BodyTooLarge)?;
        if self.limits.body != 0 && self.announced > self.limits.body {
            return Err(Http1Error::BodyTooLarge);
        }
        Ok(())
    }

    fn check_trailer_bytes(&self, more: usize) -> Result<(), Http1Error> {
        if self.trailer_bytes + more > self.limits.trailer_bytes.saturating_add(1) {
            return Err(Http1Error::TrailersTooLarge);
        }
        Ok(())
    }

    fn take_trailer_line(&mut self, line: &[u8]) -> Result<(), Http1Error> {
        if line.is_empty() {
            self.state = State::Done;
            return Ok(());
        }
        self.state = State::Trailers { scanned: 0 };
        let (name, value) = split_field(line)?;
        match trailer_fate(name) {
            TrailerFate::Refuse => Err(Http1Error::Trailer),
            TrailerFate::Drop => Ok(()),
            TrailerFate::Keep if self.trailers.len() >= self.limits.trailers => Err(Http1Error::TrailersTooLarge),
            TrailerFate::Keep => {
                self.trailers.push(Trailer { name: name.to_ascii_lowercase(), value: value.to_vec() });
                Ok(())
            }
        }
    }
}
