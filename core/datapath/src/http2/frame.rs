//! Frame headers (RFC 9113, section 4.1) and the frames that we write.

use super::ErrorCode;

pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub const HEADER_LENGTH: usize = 9;
/// SETTINGS_MAX_FRAME_SIZE that we keep, and that every peer accepts.
pub const MAX_FRAME_SIZE: usize = 16_384;
/// The largest flow-control window.
pub const MAX_WINDOW: u32 = 0x7fff_ffff;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 0x1;
pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
pub const PRIORITY_FLAG: u8 = 0x20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

impl FrameHeader {
    #[inline(always)]
    pub fn read(bytes: &[u8]) -> Option<FrameHeader> {
        let &[a, b, c, kind, flags, s0, s1, s2, s3] = bytes.first_chunk::<HEADER_LENGTH>()?;
        Some(FrameHeader {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
        })
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    #[inline(always)]
    pub fn coded(self) -> [u8; HEADER_LENGTH] {
        let (length, stream) = ((self.length as u32).to_be_bytes(), self.stream.to_be_bytes());
        [length[1], length[2], length[3], self.kind, self.flags, stream[0], stream[1], stream[2], stream[3]]
    }

    #[inline(always)]
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.coded());
    }
}

pub fn write_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    FrameHeader { length: settings.len() * 6, kind: SETTINGS, flags: 0, stream: 0 }.write(out);
    for (identifier, value) in settings {
        out.extend_from_slice(&identifier.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

pub fn write_window_update(out: &mut Vec<u8>, stream: u32, increment: u32) {
    FrameHeader { length: 4, kind: WINDOW_UPDATE, flags: 0, stream }.write(out);
    out.extend_from_slice(&increment.to_be_bytes());
}

pub fn write_rst_stream(out: &mut Vec<u8>, stream: u32, code: ErrorCode) {
    FrameHeader { length: 4, kind: RST_STREAM, flags: 0, stream }.write(out);
    out.extend_from_slice(&code.0.to_be_bytes());
}

pub fn write_ping(out: &mut Vec<u8>, flags: u8, payload: &[u8]) {
    FrameHeader { length: payload.len(), kind: PING, flags, stream: 0 }.write(out);
    out.extend_from_slice(payload);
}

pub fn write_goaway(out: &mut Vec<u8>, last: u32, code: ErrorCode, debug: &[u8]) {
    FrameHeader { length: 8 + debug.len(), kind: GOAWAY, flags: 0, stream: 0 }.write(out);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(debug);
}

/// The payload without padding; `None`: the padding is longer than the payload.
#[inline(always)]
pub fn unpad(header: FrameHeader, payload: &[u8]) -> Option<&[u8]> {
    if !header.has(PADDED) {
        return Some(payload);
    }
    let (&padding, rest) = payload.split_first()?;
    rest.get(..rest.len().checked_sub(padding as usize)?)
}

#[inline(always)]
pub fn read_u32(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk::<4>().map(|word| u32::from_be_bytes(*word))
}
