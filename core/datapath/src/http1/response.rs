//! Responses, appended to the connection's output buffer.
//!
//! Names and values come from a backend over HTTP/2, where a CR, LF or NUL in a value would pass the framing. Here it
//! would split the response, so each is checked and the response refused as a whole.

use std::fmt;

use super::reason::reason_phrase;
use super::request_line::Version;
use super::syntax::{decimal, is_field_value, is_token, trim};

/// What of a request decides the form of its response. The caller clears `keep_alive` while it drains, and when it
/// answers before the request's body has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyContext {
    pub version: Version,
    pub is_head: bool,
    /// The request said `TE: trailers`. Without it trailers are left out, also those of a gRPC call: a client that
    /// did not ask for them may drop them anyway (RFC 9110 section 6.5.1).
    pub accepts_trailers: bool,
    pub keep_alive: bool,
}

impl ReplyContext {
    /// For the answer to a request that could not be read.
    pub const REFUSED: ReplyContext =
        ReplyContext { version: Version::Http11, is_head: false, accepts_trailers: false, keep_alive: false };
}

/// A response that cannot be sent as it is; the output buffer holds nothing of it, or is to be cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseError {
    /// Not from 200 to 999, or for an interim response not from 102 to 199.
    Status,
    FieldName,
    FieldValue,
    ContentLength,
    /// The body is longer than the Content-Length that has gone out.
    BodyTooLong,
    /// The body ended before its Content-Length; only closing the connection tells the client.
    BodyTooShort,
}

impl fmt::Display for ResponseError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ResponseError::Status => "the status code is none of HTTP",
            ResponseError::FieldName => "a header's name is not a token",
            ResponseError::FieldValue => "a header's value holds a control character",
            ResponseError::ContentLength => "the Content-Length is repeated, no number, or differs from the body",
            ResponseError::BodyTooLong => "the body is longer than its Content-Length",
            ResponseError::BodyTooShort => "the body ended before its Content-Length",
        })
    }
}

impl std::error::Error for ResponseError {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// HEAD, 204, 304: whatever the headers say there is no body.
    None,
    Length {
        left: u64,
    },
    Chunked {
        trailers: bool,
    },
    /// HTTP/1.0 with an unknown length.
    UntilClose,
}

/// Frames a response's body. `keep_alive` says whether the connection outlives the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyWriter {
    framing: Framing,
    keep_alive: bool,
}

pub fn write_continue(out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
}

/// Appends an interim response, such as 103. HTTP/1.0 clients do not know them: nothing is written for those.
///
/// 100 is the gateway's own ([`write_continue`]); 101 would be an upgrade, which is not served.
pub fn write_interim<'f>(
    out: &mut Vec<u8>,
    context: &ReplyContext,
    status: u16,
    fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
) -> Result<(), ResponseError> {
    if !(102..=199).contains(&status) {
        return Err(ResponseError::Status);
    }
    if context.version == Version::Http10 {
        return Ok(());
    }
    append_or_undo(out, |out| {
        write_status_line(out, status);
        for (name, value) in fields {
            if !name.eq_ignore_ascii_case(b"content-length") {
                write_field(out, name, value)?;
            }
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    })
}

/// Appends the head of a final response and says how its body is framed.
///
/// `fields` are those of the backend in lower or any other case: the connection-specific among them are left out, and
/// `content-length` becomes the framing. `is_complete`: no body and no trailers follow.
pub fn write_head<'f>(
    out: &mut Vec<u8>,
    context: &ReplyContext,
    status: u16,
    fields: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
    is_complete: bool,
) -> Result<BodyWriter, ResponseError> {
    if !(200..=999).contains(&status) {
        return Err(ResponseError::Status);
    }
    append_or_undo(out, |out| {
        write_status_line(out, status);
        let mut length = None;
        for (name, value) in fields {
            if name.eq_ignore_ascii_case(b"content-length") {
                let parsed = decimal(trim(value)).ok_or(ResponseError::ContentLength)?;
                if length.replace(parsed).is_some() {
                    return Err(ResponseError::ContentLength);
                }
            } else {
                write_field(out, name, value)?;
            }
        }
        let bodiless = context.is_head || status == 204 || status == 304;
        let framing = match length {
            _ if bodiless => Framing::None,
            Some(1..) if is_complete => return Err(ResponseError::ContentLength),
            Some(left) => Framing::Length { left },
            None if is_complete => Framing::Length { left: 0 },
            None if context.version == Version::Http10 => Framing::UntilClose,
            None => Framing::Chunked { trailers: context.accepts_trailers },
        };
        match framing {
            Framing::Length { left } => write_content_length(out, left),
            Framing::Chunked { .. } => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
            Framing::None => {
                // What GET would have sent; never with 204 (RFC 9110 section 8.6).
                if let Some(length) = length.filter(|_| status != 204) {
                    write_content_length(out, length);
                }
            }
            Framing::UntilClose => {}
        }
        let keep_alive = context.keep_alive && framing != Framing::UntilClose;
        match (keep_alive, context.version) {
            (false, _) => out.extend_from_slice(b"connection: close\r\n"),
            (true, Version::Http10) => out.extend_from_slice(b"connection: keep-alive\r\n"),
            (true, Version::Http11) => {}
        }
        out.extend_from_slice(b"\r\n");
        Ok(BodyWriter { framing, keep_alive })
    })
}

impl BodyWriter {
    pub fn keep_alive(&self) -> bool {
        self.keep_alive
    }

    /// Appends a piece of the body. Pieces of a response that has no body are dropped, as HEAD wants it.
    pub fn write(&mut self, out: &mut Vec<u8>, data: &[u8]) -> Result<(), ResponseError> {
        match &mut self.framing {
            _ if data.is_empty() => {}
            Framing::None => {}
            Framing::Length { left } => {
                *left = left.checked_sub(data.len() as u64).ok_or(ResponseError::BodyTooLong)?;
                out.extend_from_slice(data);
            }
            Framing::Chunked { .. } => {
                write_hexadecimal(out, data.len());
                out.extend_from_slice(b"\r\n");
                out.extend_from_slice(data);
                out.extend_from_slice(b"\r\n");
            }
            Framing::UntilClose => out.extend_from_slice(data),
        }
        Ok(())
    }

    /// Appends the body's end. Without it a response that is cut off never looks complete.
    pub fn finish<'f>(
        self,
        out: &mut Vec<u8>,
        trailers: impl IntoIterator<Item = (&'f [u8], &'f [u8])>,
    ) -> Result<(), ResponseError> {
        match self.framing {
            Framing::None | Framing::UntilClose | Framing::Length { left: 0 } => Ok(()),
            Framing::Length { .. } => Err(ResponseError::BodyTooShort),
            Framing::Chunked { trailers: false } => {
                out.extend_from_slice(b"0\r\n\r\n");
                Ok(())
            }
            Framing::Chunked { trailers: true } => append_or_undo(out, |out| {
                out.extend_from_slice(b"0\r\n");
                for (name, value) in trailers {
                    if !name.eq_ignore_ascii_case(b"content-length") {
                        write_field(out, name, value)?;
                    }
                }
                out.extend_from_slice(b"\r\n");
                Ok(())
            }),
        }
    }
}

fn append_or_undo<T>(
    out: &mut Vec<u8>,
    append: impl FnOnce(&mut Vec<u8>) -> Result<T, ResponseError>,
) -> Result<T, ResponseError> {
    let start = out.len();
    let result = append(out);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), ResponseError> {
    if !is_token(name) {
        return Err(ResponseError::FieldName);
    }
    if !is_field_value(value) {
        return Err(ResponseError::FieldValue);
    }
    if is_connection_specific(name) {
        return Ok(());
    }
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// RFC 9113 section 8.2.2: a backend must not send them, and this connection has its own.
fn is_connection_specific(name: &[u8]) -> bool {
    const NAMES: [&str; 7] =
        ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "trailer"];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

fn write_content_length(out: &mut Vec<u8>, length: u64) {
    out.extend_from_slice(b"content-length: ");
    write_decimal(out, length);
    out.extend_from_slice(b"\r\n");
}

fn write_decimal(out: &mut Vec<u8>, number: u64) {
    let start = out.len();
    let mut rest = number;
    loop {
        out.push(b'0' + (rest % 10) as u8);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

fn write_hexadecimal(out: &mut Vec<u8>, number: usize) {
    let digits = (usize::BITS - number.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        let value = (number >> (digit * 4) & 0xf) as u32;
        out.push(char::from_digit(value, 16).unwrap_or('0') as u8);
    }
}

/// Always HTTP/1.1, whatever the client speaks (RFC 9110 section 6.2).
fn write_status_line(out: &mut Vec<u8>, status: u16) {
    out.extend_from_slice(b"HTTP/1.1 ");
    write_decimal(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason_phrase(status).as_bytes());
    out.extend_from_slice(b"\r\n");
}
