//! gRPC's length-prefixed messages: one byte that says whether the message is compressed, four of length, the message.

use std::fmt;

pub const PREFIX: usize = 5;

/// Makes room for the prefix of a message that is about to be written.
pub fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    start
}

/// Fills in the prefix of the message written since [`begin`] returned `start`; false if it is over 4 GiB.
pub fn finish(out: &mut [u8], start: usize) -> bool {
    let Some(length) = out.len().checked_sub(start + PREFIX).and_then(|length| u32::try_from(length).ok()) else {
        return false;
    };
    match out.get_mut(start + 1..start + PREFIX) {
        Some(place) => place.copy_from_slice(&length.to_be_bytes()),
        None => return false,
    }
    true
}

/// A message with its prefix. None if it is over 4 GiB.
pub fn frame(message: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(message.len() + PREFIX);
    let start = begin(&mut out);
    out.extend_from_slice(message);
    finish(&mut out, start).then_some(out)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameError {
    /// The message is longer than the limit that was given.
    TooLarge {
        length: usize,
        limit: usize,
    },
    /// We send `grpc-accept-encoding: identity`, so a compressed message breaks the protocol.
    Compressed,
    /// The first byte is neither 0 nor 1.
    BadFlag(u8),
    /// A unary call has one message.
    SecondMessage,
    Truncated,
    /// The call succeeded without a message.
    Missing,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::TooLarge { length, limit } => {
                write!(f, "the backend's message of {length} bytes is over the limit of {limit}")
            }
            FrameError::Compressed => f.write_str("the backend sent a compressed message that was not asked for"),
            FrameError::BadFlag(flag) => write!(f, "the backend sent a message with the unknown flag {flag}"),
            FrameError::SecondMessage => f.write_str("the backend sent a second message in a unary call"),
            FrameError::Truncated => f.write_str("the backend's message is cut short"),
            FrameError::Missing => f.write_str("the backend sent no message"),
        }
    }
}

impl std::error::Error for FrameError {}

/// Puts the one message of a unary response together from DATA in any pieces. Memory follows what has come, not what
/// the prefix announces.
#[derive(Debug)]
pub struct MessageReader {
    limit: usize,
    prefix: Vec<u8>,
    length: Option<usize>,
    message: Vec<u8>,
}

impl MessageReader {
    /// `limit`: the longest message to accept, in bytes.
    pub fn new(limit: usize) -> MessageReader {
        MessageReader { limit, prefix: Vec::new(), length: None, message: Vec::new() }
    }

    pub fn push(&mut self, data: &[u8]) -> Result<(), FrameError> {
        let mut data = data;
        if self.length.is_none() {
            let (head, rest) = data.split_at(data.len().min(PREFIX - self.prefix.len()));
            self.prefix.extend_from_slice(head);
            data = rest;
            let [flag, length @ ..] = self.prefix.as_slice() else { return Ok(()) };
            match flag {
                0 => {}
                1 => return Err(FrameError::Compressed),
                other => return Err(FrameError::BadFlag(*other)),
            }
            let Ok(length) = <[u8; 4]>::try_from(length) else { return Ok(()) };
            let length = u32::from_be_bytes(length) as usize;
            if length > self.limit {
                return Err(FrameError::TooLarge { length, limit: self.limit });
            }
            self.length = Some(length);
        }
        let left = self.length.unwrap_or_default().saturating_sub(self.message.len());
        if data.len() > left {
            return Err(FrameError::SecondMessage);
        }
        self.message.extend_from_slice(data);
        Ok(())
    }

    /// Bytes that the reader holds.
    pub fn buffered(&self) -> usize {
        self.prefix.len() + self.message.len()
    }

    /// The message, once the response's data has ended.
    pub fn finish(self) -> Result<Vec<u8>, FrameError> {
        match self.length {
            Some(length) if length == self.message.len() => Ok(self.message),
            None if self.prefix.is_empty() => Err(FrameError::Missing),
            _ => Err(FrameError::Truncated),
        }
    }
}
