//! What is written: frames into the buffer `out`.

use super::{Connection, Role};
use crate::http2::frame::{self, FrameHeader};
use crate::http2::guard::Offence;
use crate::http2::history::Ended;
use crate::http2::hpack::Encoder;
use crate::http2::{ConnectionError, ErrorCode};

/// WINDOW_UPDATEs that a peer may send for each DATA frame of ours before they count as glitches (Envoy's figure).
const UPDATES_PER_DATA: u32 = 10;

impl Connection {
    /// Writes one header block; `fields` codes the fields behind what the encoder has to say first.
    #[inline]
    pub fn headers(&mut self, stream: u32, end_stream: bool, fields: impl FnOnce(&mut Encoder, &mut Vec<u8>)) {
        let at = self.out.len();
        self.out.extend_from_slice(&[0; frame::HEADER_LENGTH]);
        self.encoder.begin(&mut self.out);
        fields(&mut self.encoder, &mut self.out);
        let length = self.out.len() - at - frame::HEADER_LENGTH;
        let end = if end_stream { frame::END_STREAM } else { 0 };
        if length <= frame::MAX_FRAME_SIZE {
            let header = FrameHeader { length, kind: frame::HEADERS, flags: frame::END_HEADERS | end, stream };
            self.out[at..at + frame::HEADER_LENGTH].copy_from_slice(&header.coded());
            return;
        }
        let block = self.out.split_off(at + frame::HEADER_LENGTH);
        self.out.truncate(at);
        let mut chunks = block.chunks(frame::MAX_FRAME_SIZE).peekable();
        let (mut kind, mut flags) = (frame::HEADERS, end);
        while let Some(chunk) = chunks.next() {
            if chunks.peek().is_none() {
                flags |= frame::END_HEADERS;
            }
            FrameHeader { length: chunk.len(), kind, flags, stream }.write(&mut self.out);
            self.out.extend_from_slice(chunk);
            (kind, flags) = (frame::CONTINUATION, 0);
        }
    }

    /// Writes one DATA frame; the caller has seen to both windows and to the frame size.
    #[inline]
    pub fn data(&mut self, stream: u32, end_stream: bool, bytes: &[u8]) {
        let flags = if end_stream { frame::END_STREAM } else { 0 };
        FrameHeader { length: bytes.len(), kind: frame::DATA, flags, stream }.write(&mut self.out);
        self.out.extend_from_slice(bytes);
        self.send_window -= bytes.len() as i32;
        self.updates_allowed = (self.updates_allowed + UPDATES_PER_DATA).min(10_000);
    }

    pub fn window_update(&mut self, stream: u32, increment: u32) {
        frame::write_window_update(&mut self.out, stream, increment);
    }

    /// Resets a stream for a reason that is not the peer's fault.
    pub fn reset_stream(&mut self, stream: u32, code: ErrorCode) {
        frame::write_rst_stream(&mut self.out, stream, code);
    }

    /// Resets a stream on which the peer broke a rule; too many of them end the connection.
    pub fn reset_offender(&mut self, stream: u32, code: ErrorCode, now_ms: u64) -> Result<(), ConnectionError> {
        frame::write_rst_stream(&mut self.out, stream, code);
        self.history.record(stream, Ended::LeftByUs { awaited: self.config.stream_window });
        if self.role == Role::Server { self.guard.count(Offence::Reset, now_ms) } else { Ok(()) }
    }

    /// Counts work that the peer caused and that moved next to nothing.
    pub fn count_glitch(&mut self, now_ms: u64) -> Result<(), ConnectionError> {
        self.guard.count(Offence::Glitch, now_ms)
    }

    pub fn ping(&mut self, payload: [u8; 8]) {
        frame::write_ping(&mut self.out, 0, &payload);
    }

    /// First step of a graceful end: the peer shall open no more streams, but those on their way are still served.
    pub fn announce_goaway(&mut self) {
        frame::write_goaway(&mut self.out, frame::MAX_WINDOW, ErrorCode::NO_ERROR, b"");
    }

    /// Second step, or the end after an error: streams above the last one seen will not be served.
    pub fn goaway(&mut self, code: ErrorCode, debug: &str) {
        let last = if self.role == Role::Server { self.last_peer } else { 0 };
        self.goaway_sent = Some(last);
        frame::write_goaway(&mut self.out, last, code, debug.as_bytes());
    }
}
