//! Frames that carry requests and answers: header blocks, DATA, and what comes for streams that are gone.

use super::{Block, Connection, Event, Role};
use crate::http2::frame::{self, FrameHeader};
use crate::http2::guard::Offence;
use crate::http2::history::Ended;
use crate::http2::hpack::{Dictionary, HeaderList};
use crate::http2::{ConnectionError, ErrorCode};

/// Frames that one header block may be spread over. Four of the usual size hold the largest that we take.
const MAX_CONTINUATIONS: u32 = 16;
/// The prefix of a gRPC message: a client that sends less at a time sends byte by byte.
const SMALLEST_MESSAGE: usize = 5;
/// Gaps in a client's stream identifiers that are remembered.
const MAX_GAPS: usize = 8;

impl Connection {
    #[inline]
    pub(super) fn data_frame<'a>(
        &mut self,
        header: FrameHeader,
        payload: &'a [u8],
        now_ms: u64,
    ) -> Result<Option<Event<'a>>, ConnectionError> {
        let stream = header.stream;
        if stream == 0 {
            return Err(ConnectionError::protocol("DATA on stream 0"));
        }
        self.receive_window -= payload.len() as i32;
        if self.receive_window < 0 {
            return Err(ConnectionError::flow_control("DATA beyond the connection's window"));
        }
        self.credit(payload.len() as u32);
        let bytes = frame::unpad(header, payload).ok_or(ConnectionError::protocol("padding longer than its frame"))?;
        let end_stream = header.has(frame::END_STREAM);
        let moves_nothing = bytes.len() < if self.role == Role::Server { SMALLEST_MESSAGE } else { 1 };
        if moves_nothing && !end_stream {
            self.guard.count(Offence::Glitch, now_ms)?;
        }
        let Some(slot) = self.streams.get(stream) else {
            self.refuse_idle(stream)?;
            if self.history.awaits(stream, payload.len() as u32) {
                return Ok(None);
            }
            return self.late_frame(stream, now_ms).map(|()| None);
        };
        let overhead = (payload.len() - bytes.len()) as u32;
        Ok(Some(Event::Data { stream, slot, end_stream, bytes, overhead }))
    }

    #[inline]
    pub(super) fn headers_frame(
        &mut self,
        dictionary: &Dictionary,
        header: FrameHeader,
        payload: &[u8],
        list: &mut HeaderList,
        now_ms: u64,
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        if header.stream == 0 {
            return Err(ConnectionError::protocol("HEADERS on stream 0"));
        }
        let mut fragment =
            frame::unpad(header, payload).ok_or(ConnectionError::protocol("padding longer than its frame"))?;
        let mut depends_on_itself = false;
        if header.has(frame::PRIORITY_FLAG) {
            let dependency = frame::read_u32(fragment).ok_or(ConnectionError::frame_size("HEADERS cut short"))?;
            fragment = fragment.get(5..).ok_or(ConnectionError::frame_size("HEADERS cut short"))?;
            depends_on_itself = dependency & frame::MAX_WINDOW == header.stream;
        }
        if depends_on_itself {
            return Err(ConnectionError::protocol("a stream that depends on itself"));
        }
        if !header.has(frame::END_HEADERS) {
            let block = Block { stream: header.stream, flags: header.flags, frames: 0, bytes: fragment.to_vec() };
            self.block = Some(Box::new(block));
            return Ok(None);
        }
        self.header_block(dictionary, header.stream, header.flags, fragment, list, now_ms)
    }

    pub(super) fn continuation_frame(
        &mut self,
        dictionary: &Dictionary,
        header: FrameHeader,
        payload: &[u8],
        list: &mut HeaderList,
        now_ms: u64,
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        let Some(block) = &mut self.block else {
            return Err(ConnectionError::protocol("CONTINUATION without HEADERS"));
        };
        // More than the list may hold is decoded and answered 431; only what has no end ends the connection.
        let largest_block = self.config.headers.bytes.saturating_mul(4).max(64 << 10);
        block.frames += 1;
        if block.frames > MAX_CONTINUATIONS || block.bytes.len() + payload.len() > largest_block {
            return Err(ConnectionError::new(ErrorCode::ENHANCE_YOUR_CALM, "a header block without end"));
        }
        block.bytes.extend_from_slice(payload);
        if !header.has(frame::END_HEADERS) {
            return Ok(None);
        }
        let Some(block) = self.block.take() else { return Ok(None) };
        self.header_block(dictionary, block.stream, block.flags, &block.bytes, list, now_ms)
    }

    /// Every block is decoded, whatever becomes of its stream, so that the table stays what the peer thinks it is.
    #[inline]
    pub(super) fn header_block(
        &mut self,
        dictionary: &Dictionary,
        stream: u32,
        flags: u8,
        block: &[u8],
        list: &mut HeaderList,
        now_ms: u64,
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        list.clear();
        self.decoder
            .decode(dictionary, block, self.config.headers, list)
            .map_err(|_| ConnectionError::new(ErrorCode::COMPRESSION_ERROR, "a header block that cannot be decoded"))?;
        let end_stream = flags & frame::END_STREAM != 0;
        if let Some(slot) = self.streams.get(stream) {
            return Ok(Some(Event::Headers { stream, slot, end_stream }));
        }
        if self.role == Role::Client {
            self.refuse_idle(stream)?;
            return Ok(None);
        }
        if stream.is_multiple_of(2) {
            return Err(ConnectionError::protocol("a client's stream with an even identifier"));
        }
        if stream <= self.last_peer {
            if self.gaps.iter().any(|&(from, to)| (from..=to).contains(&stream)) {
                return Err(ConnectionError::protocol("stream identifiers that do not increase"));
            }
            return self.late_frame(stream, now_ms).map(|()| None);
        }
        if stream > self.last_peer + if self.last_peer == 0 { 1 } else { 2 } {
            if self.gaps.len() == MAX_GAPS {
                self.gaps.remove(0);
            }
            self.gaps.push((self.last_peer + 1, stream - 1));
        }
        self.last_peer = stream;
        if self.goaway_sent.is_some_and(|last| stream > last) {
            return Ok(None);
        }
        if self.streams.len() >= self.config.max_concurrent_streams as usize {
            self.reset_offender(stream, ErrorCode::REFUSED_STREAM, now_ms)?;
            return Ok(None);
        }
        Ok(Some(Event::Opened { stream, end_stream }))
    }

    #[inline]
    pub(super) fn window_frame(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        now_ms: u64,
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        let &[a, b, c, d] = payload else {
            return Err(ConnectionError::frame_size("WINDOW_UPDATE that is not four bytes long"));
        };
        let increment = u32::from_be_bytes([a & 0x7f, b, c, d]);
        match self.updates_allowed.checked_sub(1) {
            Some(left) => self.updates_allowed = left,
            None => self.guard.count(Offence::Glitch, now_ms)?,
        }
        if header.stream == 0 {
            if increment == 0 {
                return Err(ConnectionError::protocol("WINDOW_UPDATE of 0"));
            }
            self.send_window = self
                .send_window
                .checked_add(increment as i32)
                .ok_or(ConnectionError::flow_control("a window over 2^31-1"))?;
            return Ok(Some(Event::ConnectionWindow));
        }
        let stream = header.stream;
        let Some(slot) = self.streams.get(stream) else {
            self.refuse_idle(stream)?;
            return Ok(None);
        };
        Ok(Some(match increment {
            0 => Event::StreamError { stream, slot, code: ErrorCode::PROTOCOL_ERROR },
            _ => Event::StreamWindow { slot, increment },
        }))
    }

    /// An error where nobody opened the stream yet (RFC 9113, section 5.1, "idle").
    #[inline]
    pub(super) fn refuse_idle(&self, stream: u32) -> Result<(), ConnectionError> {
        let idle = match self.role {
            Role::Server => stream > self.last_peer || stream.is_multiple_of(2),
            Role::Client => stream >= self.next_local || stream.is_multiple_of(2),
        };
        if idle { Err(ConnectionError::protocol("a frame on an idle stream")) } else { Ok(()) }
    }

    /// HEADERS, or more DATA than was awaited, on a stream that is gone.
    pub(super) fn late_frame(&mut self, stream: u32, now_ms: u64) -> Result<(), ConnectionError> {
        if self.role == Role::Client {
            return Ok(());
        }
        match self.history.of(stream) {
            Some(Ended::Complete) => {
                Err(ConnectionError::new(ErrorCode::STREAM_CLOSED, "a frame on a stream that had ended"))
            }
            Some(Ended::ResetByPeer) => self.reset_offender(stream, ErrorCode::STREAM_CLOSED, now_ms),
            Some(Ended::LeftByUs { .. }) | None => self.guard.count(Offence::Glitch, now_ms),
        }
    }

    #[inline]
    pub(super) fn credit(&mut self, bytes: u32) {
        self.unacknowledged += bytes;
        if self.unacknowledged >= self.config.connection_window / 2 {
            frame::write_window_update(&mut self.out, 0, self.unacknowledged);
            self.receive_window += self.unacknowledged as i32;
            self.unacknowledged = 0;
        }
    }
}
