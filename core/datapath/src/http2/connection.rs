//! One end of an HTTP/2 connection: everything that concerns the connection and not one of its streams.
//!
//! `next` takes one frame after the other from bytes that were read and answers by itself what needs no decision: SETTINGS,
//! PING, padding, header blocks over several frames, the connection's windows, frames on streams that are gone. What
//! remains comes out as an `Event`. Whatever has to be sent is appended to `out`; nothing is written to a socket here.
//!
//! Credit for the connection's window is given back when DATA arrives, not when it has been passed on: a stalled stream
//! then costs its own window and holds up nobody else. Each stream's window is its owner's business (`window_update`).

use super::frame::{self, FrameHeader};
use super::guard::{Guard, Offence};
use super::history::{Ended, History};
use super::hpack::{Decoder, Dictionary, Encoder, HeaderList, Limits};
use super::settings::{self, INITIAL_WINDOW, PeerSettings};
use super::{ConnectionError, ErrorCode, PREFACE};
use crate::bytes::id_map::IdMap;

/// Frames that one header block may be spread over. Four of the usual size hold the largest that we take.
const MAX_CONTINUATIONS: u32 = 16;
/// WINDOW_UPDATEs that a peer may send for each DATA frame of ours before they count as glitches (Envoy's figure).
const UPDATES_PER_DATA: u32 = 10;
/// The prefix of a gRPC message: a client that sends less at a time sends byte by byte.
const SMALLEST_MESSAGE: usize = 5;
/// Gaps in a client's stream identifiers that are remembered.
const MAX_GAPS: usize = 8;
/// Identifiers end at 2^31-1; a little before that the connection is left.
const LAST_LOCAL_STREAM: u32 = 0x7fff_ff00;

/// Which end we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Server,
    Client,
}

/// What we tell the peer and hold it to.
#[derive(Debug, Clone, Copy)]
pub struct Config {
    pub max_concurrent_streams: u32,
    pub stream_window: u32,
    pub connection_window: u32,
    pub headers: Limits,
}

/// What a frame meant for a stream or for the whole connection. `slot` is what `insert_stream` was given.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A stream that the peer opens; its fields are in the list given to `next`.
    Opened {
        stream: u32,
        end_stream: bool,
    },
    /// Further header fields of a stream: a response, an interim response or trailers.
    Headers {
        stream: u32,
        slot: u32,
        end_stream: bool,
    },
    /// `overhead` bytes of padding count against the stream's window too.
    Data {
        stream: u32,
        slot: u32,
        end_stream: bool,
        bytes: &'a [u8],
        overhead: u32,
    },
    Reset {
        slot: u32,
        code: ErrorCode,
    },
    /// The peer broke a rule that concerns this stream alone; it has to be reset with this code.
    StreamError {
        stream: u32,
        slot: u32,
        code: ErrorCode,
    },
    StreamWindow {
        slot: u32,
        increment: u32,
    },
    ConnectionWindow,
    /// The windows of all streams towards the peer change by `window_change`; there may be room for more streams too.
    Settings {
        window_change: i64,
    },
    GoAway {
        last: u32,
        code: ErrorCode,
    },
    PingAnswered,
}

/// A header block that is not complete.
#[derive(Debug)]
struct Block {
    stream: u32,
    flags: u8,
    frames: u32,
    bytes: Vec<u8>,
}

#[derive(Debug)]
pub struct Connection {
    role: Role,
    config: Config,
    decoder: Decoder,
    encoder: Encoder,
    /// Bytes to send; those before `written` have been.
    pub out: Vec<u8>,
    pub written: usize,
    pub send_window: i32,
    receive_window: i32,
    unacknowledged: u32,
    peer: PeerSettings,
    streams: IdMap,
    history: History,
    last_peer: u32,
    next_local: u32,
    gaps: Vec<(u32, u32)>,
    preface_seen: bool,
    block: Option<Box<Block>>,
    guard: Guard,
    updates_allowed: u32,
    goaway_sent: Option<u32>,
    goaway_received: bool,
}

impl Connection {
    /// Begins with our preface and SETTINGS in `out`. `now_ms`: of any clock that only goes forward.
    pub fn new(role: Role, config: Config, now_ms: u64) -> Self {
        let mut out = Vec::new();
        let mut ours = vec![
            (settings::MAX_CONCURRENT_STREAMS, config.max_concurrent_streams),
            (settings::INITIAL_WINDOW_SIZE, config.stream_window),
            (settings::MAX_HEADER_LIST_SIZE, config.headers.bytes as u32),
        ];
        if role == Role::Client {
            out.extend_from_slice(PREFACE);
            ours[0] = (settings::ENABLE_PUSH, 0);
        }
        frame::write_settings(&mut out, &ours);
        let window = config.connection_window.clamp(INITIAL_WINDOW as u32, frame::MAX_WINDOW);
        if window > INITIAL_WINDOW as u32 {
            frame::write_window_update(&mut out, 0, window - INITIAL_WINDOW as u32);
        }
        Connection {
            role,
            config,
            decoder: Decoder::default(),
            encoder: Encoder::default(),
            out,
            written: 0,
            send_window: INITIAL_WINDOW,
            receive_window: window as i32,
            unacknowledged: 0,
            peer: PeerSettings::default(),
            streams: IdMap::default(),
            history: History::default(),
            last_peer: 0,
            next_local: 1,
            gaps: Vec::new(),
            preface_seen: role == Role::Client,
            block: None,
            guard: Guard::new(now_ms),
            updates_allowed: 100,
            goaway_sent: None,
            goaway_received: false,
        }
    }

    /// Takes one frame from `input`, beginning at `at`, and moves `at` behind it; goes on until there is an event.
    /// `None`: the rest is not a whole frame, and has to be given again with more behind it.
    #[inline]
    pub fn next<'a>(
        &mut self,
        dictionary: &Dictionary,
        input: &'a [u8],
        at: &mut usize,
        list: &mut HeaderList,
        now_ms: u64,
    ) -> Result<Option<Event<'a>>, ConnectionError> {
        if !self.preface_seen && !self.read_preface(input, at)? {
            return Ok(None);
        }
        while let Some(header) = FrameHeader::read(&input[*at..]) {
            if header.length > frame::MAX_FRAME_SIZE {
                return Err(ConnectionError::frame_size("a frame over SETTINGS_MAX_FRAME_SIZE"));
            }
            let start = *at + frame::HEADER_LENGTH;
            let Some(payload) = input.get(start..start + header.length) else { break };
            *at = start + header.length;
            if (self.block.is_some() || !self.peer.received) && !self.is_expected(header) {
                return Err(ConnectionError::protocol("a frame in the wrong place"));
            }
            let event = match header.kind {
                frame::DATA => self.data_frame(header, payload, now_ms)?,
                frame::HEADERS => self.headers_frame(dictionary, header, payload, list, now_ms)?,
                frame::WINDOW_UPDATE => self.window_frame(header, payload, now_ms)?,
                _ => self.other_frame(dictionary, header, payload, list, now_ms)?,
            };
            if event.is_some() {
                return Ok(event);
            }
        }
        Ok(None)
    }

    fn read_preface(&mut self, input: &[u8], at: &mut usize) -> Result<bool, ConnectionError> {
        let seen = &input[*at..];
        let length = seen.len().min(PREFACE.len());
        if seen[..length] != PREFACE[..length] {
            return Err(ConnectionError::protocol("not the preface of HTTP/2"));
        }
        if length < PREFACE.len() {
            return Ok(false);
        }
        *at += length;
        self.preface_seen = true;
        Ok(true)
    }

    /// The first frame is SETTINGS; within a header block only its CONTINUATION may come.
    fn is_expected(&self, header: FrameHeader) -> bool {
        match &self.block {
            Some(block) => header.kind == frame::CONTINUATION && header.stream == block.stream,
            None => header.kind == frame::SETTINGS && !header.has(frame::ACK),
        }
    }

    #[inline]
    fn data_frame<'a>(
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
            return self.late_frame(stream, now_ms).map(|()| None);
        };
        let overhead = (payload.len() - bytes.len()) as u32;
        Ok(Some(Event::Data { stream, slot, end_stream, bytes, overhead }))
    }

    #[inline]
    fn headers_frame(
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

    fn continuation_frame(
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
    fn header_block(
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
    fn window_frame(
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

    fn other_frame(
        &mut self,
        dictionary: &Dictionary,
        header: FrameHeader,
        payload: &[u8],
        list: &mut HeaderList,
        now_ms: u64,
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        let stream = header.stream;
        match header.kind {
            frame::RST_STREAM => {
                let &[a, b, c, d] = payload else {
                    return Err(ConnectionError::frame_size("RST_STREAM that is not four bytes long"));
                };
                self.refuse_idle(stream)?;
                if self.role == Role::Server {
                    self.guard.count(Offence::Reset, now_ms)?;
                }
                let code = ErrorCode(u32::from_be_bytes([a, b, c, d]));
                Ok(self.streams.get(stream).map(|slot| Event::Reset { slot, code }))
            }
            frame::SETTINGS => self.settings_frame(header, payload, now_ms),
            frame::PING => {
                if stream != 0 {
                    return Err(ConnectionError::protocol("PING on a stream"));
                }
                if payload.len() != 8 {
                    return Err(ConnectionError::frame_size("PING that is not eight bytes long"));
                }
                self.guard.count(Offence::Glitch, now_ms)?;
                if header.has(frame::ACK) {
                    return Ok(Some(Event::PingAnswered));
                }
                frame::write_ping(&mut self.out, frame::ACK, payload);
                Ok(None)
            }
            frame::GOAWAY => {
                if stream != 0 {
                    return Err(ConnectionError::protocol("GOAWAY on a stream"));
                }
                let (Some(last), Some(code)) = (frame::read_u32(payload), payload.get(4..).and_then(frame::read_u32))
                else {
                    return Err(ConnectionError::frame_size("GOAWAY cut short"));
                };
                self.guard.count(Offence::Glitch, now_ms)?;
                self.goaway_received = true;
                Ok(Some(Event::GoAway { last: last & frame::MAX_WINDOW, code: ErrorCode(code) }))
            }
            frame::PRIORITY => {
                self.guard.count(Offence::Glitch, now_ms)?;
                self.priority_frame(stream, payload)
            }
            frame::CONTINUATION => self.continuation_frame(dictionary, header, payload, list, now_ms),
            frame::PUSH_PROMISE => Err(ConnectionError::protocol("PUSH_PROMISE, which we do not take")),
            _ => {
                self.guard.count(Offence::Glitch, now_ms)?;
                Ok(None)
            }
        }
    }

    fn priority_frame(&mut self, stream: u32, payload: &[u8]) -> Result<Option<Event<'static>>, ConnectionError> {
        if stream == 0 {
            return Err(ConnectionError::protocol("PRIORITY on stream 0"));
        }
        let dependency = frame::read_u32(payload).filter(|_| payload.len() == 5);
        let code = match dependency {
            None => ErrorCode::FRAME_SIZE_ERROR,
            Some(dependency) if dependency & frame::MAX_WINDOW == stream => ErrorCode::PROTOCOL_ERROR,
            Some(_) => return Ok(None),
        };
        match self.streams.get(stream) {
            Some(slot) => Ok(Some(Event::StreamError { stream, slot, code })),
            None => Err(ConnectionError::new(code, "PRIORITY that is malformed")),
        }
    }

    fn settings_frame(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        now_ms: u64,
    ) -> Result<Option<Event<'static>>, ConnectionError> {
        if header.stream != 0 {
            return Err(ConnectionError::protocol("SETTINGS on a stream"));
        }
        self.guard.count(Offence::Glitch, now_ms)?;
        if header.has(frame::ACK) {
            if !payload.is_empty() {
                return Err(ConnectionError::frame_size("an acknowledgement with content"));
            }
            return Ok(None);
        }
        let before = self.peer.initial_window;
        self.peer.apply(payload, self.role == Role::Client)?;
        if let Some((smallest, last)) = self.peer.header_table_size {
            self.encoder.set_limit(smallest as usize);
            self.encoder.set_limit(last as usize);
        }
        FrameHeader { length: 0, kind: frame::SETTINGS, flags: frame::ACK, stream: 0 }.write(&mut self.out);
        Ok(Some(Event::Settings { window_change: i64::from(self.peer.initial_window) - i64::from(before) }))
    }

    /// An error where nobody opened the stream yet (RFC 9113, section 5.1, "idle").
    #[inline]
    fn refuse_idle(&self, stream: u32) -> Result<(), ConnectionError> {
        let idle = match self.role {
            Role::Server => stream > self.last_peer || stream.is_multiple_of(2),
            Role::Client => stream >= self.next_local || stream.is_multiple_of(2),
        };
        if idle { Err(ConnectionError::protocol("a frame on an idle stream")) } else { Ok(()) }
    }

    /// DATA or HEADERS on a stream that is gone.
    fn late_frame(&mut self, stream: u32, now_ms: u64) -> Result<(), ConnectionError> {
        if self.role == Role::Client {
            return Ok(());
        }
        match self.history.of(stream) {
            Some(Ended::Complete) => {
                Err(ConnectionError::new(ErrorCode::STREAM_CLOSED, "a frame on a stream that had ended"))
            }
            Some(Ended::ResetByPeer) => self.reset_offender(stream, ErrorCode::STREAM_CLOSED, now_ms),
            Some(Ended::ResetByUs) | None => self.guard.count(Offence::Glitch, now_ms),
        }
    }

    #[inline]
    fn credit(&mut self, bytes: u32) {
        self.unacknowledged += bytes;
        if self.unacknowledged >= self.config.connection_window / 2 {
            frame::write_window_update(&mut self.out, 0, self.unacknowledged);
            self.receive_window += self.unacknowledged as i32;
            self.unacknowledged = 0;
        }
    }

    /// Puts a stream into the table under its identifier.
    #[inline]
    pub fn insert_stream(&mut self, stream: u32, slot: u32) {
        self.streams.insert(stream, slot);
    }

    /// Opens a stream towards a server; `None`: identifiers or the peer's limit are used up, or it is going away.
    #[inline]
    pub fn open_stream(&mut self, slot: u32) -> Option<u32> {
        if !self.has_room() {
            return None;
        }
        let stream = self.next_local;
        self.next_local += 2;
        self.streams.insert(stream, slot);
        Some(stream)
    }

    /// Whether a stream can be opened: never before the peer's SETTINGS, since it may allow fewer streams than we would open.
    #[inline]
    pub fn has_room(&self) -> bool {
        let limit = u64::from(self.peer.max_concurrent_streams);
        let open = self.streams.len() as u64;
        self.peer.received && !self.goaway_received && self.next_local < LAST_LOCAL_STREAM && open < limit
    }

    /// Forgets a stream; what still comes for it is treated by how it ended.
    #[inline]
    pub fn remove_stream(&mut self, stream: u32, ended: Ended) {
        self.streams.remove(stream);
        if self.role == Role::Server {
            self.history.record(stream, ended);
        }
    }

    pub fn streams(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.streams.iter()
    }
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }
    /// What each stream of the peer may send before it gets credit.
    pub fn stream_window(&self) -> u32 {
        self.config.stream_window
    }
    pub fn initial_send_window(&self) -> i32 {
        self.peer.initial_window
    }
    pub fn is_settled(&self) -> bool {
        self.peer.received
    }
    pub fn preface_seen(&self) -> bool {
        self.preface_seen
    }
    pub fn in_header_block(&self) -> bool {
        self.block.is_some()
    }
    pub fn last_peer_stream(&self) -> u32 {
        self.last_peer
    }
    pub fn is_going_away(&self) -> bool {
        self.goaway_received || self.goaway_sent.is_some()
    }

    /// Bytes that wait to be written.
    #[inline]
    pub fn backlog(&self) -> usize {
        self.out.len() - self.written
    }

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
        self.history.record(stream, Ended::ResetByUs);
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
