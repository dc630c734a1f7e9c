//! One end of an HTTP/2 connection: everything that concerns the connection and not one of its streams.
//!
//! `next` takes one frame after the other from bytes that were read and answers by itself what needs no decision: SETTINGS,
//! PING, padding, header blocks over several frames, the connection's windows, frames on streams that are gone. What
//! remains comes out as an `Event`. Whatever has to be sent is appended to `out`; nothing is written to a socket here.
//!
//! Credit for the connection's window is given back when DATA arrives, not when it has been passed on: a stalled stream
//! then costs its own window and holds up nobody else. Each stream's window is its owner's business (`window_update`).

mod control;
mod receive;
mod send;

use super::frame::{self, FrameHeader};
use super::guard::Guard;
use super::history::{Ended, History};
use super::hpack::{Decoder, Dictionary, Encoder, HeaderList, Limits};
use super::settings::{self, INITIAL_WINDOW, PeerSettings};
use super::{ConnectionError, ErrorCode, PREFACE};
use crate::bytes::id_map::IdMap;

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
}
