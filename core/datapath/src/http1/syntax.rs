//! Character classes and field lines of RFC 9110 section 5.6 and RFC 9112 section 5, and a memory of where things stand in a buffer.

use super::error::Http1Error;

/// Half-open byte range from the start of the connection's buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// None past 4 GiB.
    pub(super) fn new(start: usize, end: usize) -> Option<Span> {
        Some(Span { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? })
    }

    pub(super) fn of(self, buffer: &[u8]) -> &[u8] {
        buffer.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

const fn token_table() -> [bool; 256] {
    let mut table = [false; 256];
    let marks = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < 256 {
        table[at] = (at as u8).is_ascii_alphanumeric();
        at += 1;
    }
    at = 0;
    while at < marks.len() {
        table[marks[at] as usize] = true;
        at += 1;
    }
    table
}

static TOKEN: [bool; 256] = token_table();

pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| TOKEN[byte as usize])
}

pub(super) fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// No control character but the tab. Bytes from 0x80 are opaque (`obs-text`).
pub(super) fn is_field_value(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| (byte >= b' ' && byte != 0x7f) || byte == b'\t')
}

pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Digits alone, below 2^64.
pub(super) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |sum, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// The elements of a comma-separated list, trimmed; empty ones are left out (RFC 9110 section 5.6.1.2).
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// Name and trimmed value of a field line without its CR LF.
pub(super) fn split_field(line: &[u8]) -> Result<(&[u8], &[u8]), Http1Error> {
    if let [b' ' | b'\t', ..] = line {
        return Err(Http1Error::FoldedField);
    }
    let colon = memchr::memchr(b':', line).ok_or(Http1Error::FieldName)?;
    let (name, value) = line.split_at(colon);
    let value = trim(value.get(1..).unwrap_or_default());
    if !is_token(name) {
        return Err(Http1Error::FieldName);
    }
    if !is_field_value(value) {
        return Err(Http1Error::FieldValue);
    }
    Ok((name, value))
}
