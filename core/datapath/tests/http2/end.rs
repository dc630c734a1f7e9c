//! One end of a connection with a test at the other.

use tidegate_datapath::http2::frame::{self, FrameHeader};
use tidegate_datapath::http2::hpack::{Dictionary, HeaderList, Limits};
use tidegate_datapath::http2::{Config, Connection, ConnectionError, ErrorCode, Event, PREFACE, Role};

pub(crate) const CONFIG: Config = Config {
    max_concurrent_streams: 5,
    stream_window: 65_535,
    connection_window: 100_000,
    headers: Limits { bytes: 20_000, fields: 100 },
};
/// `:method POST`, `:scheme http`, `:path /`: what every table holds.
pub(crate) const REQUEST: &[u8] = &[0x83, 0x86, 0x84];
/// `:status 200`.
pub(crate) const RESPONSE: &[u8] = &[0x88];

pub(crate) type Fields = Vec<(String, String)>;

/// An event as owned values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    Opened { stream: u32, end: bool, fields: Fields },
    Headers { stream: u32, end: bool, fields: Fields },
    Data { stream: u32, end: bool, bytes: Vec<u8>, overhead: u32 },
    Reset { slot: u32, code: ErrorCode },
    StreamError { stream: u32, code: ErrorCode },
    StreamWindow { slot: u32, increment: u32 },
    ConnectionWindow,
    Settings { window_change: i64 },
    GoAway { last: u32, code: ErrorCode },
    PingAnswered,
}

/// A frame that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

pub(crate) struct End {
    pub(crate) connection: Connection,
    pub(crate) dictionary: Dictionary,
    pub(crate) now_ms: u64,
    list: HeaderList,
}

impl End {
    pub(crate) fn new(role: Role, config: Config) -> End {
        let connection = Connection::new(role, config, 0);
        End { connection, dictionary: Dictionary::new(7), now_ms: 0, list: HeaderList::default() }
    }

    /// A server that has greeted and been greeted.
    pub(crate) fn server() -> End {
        let mut end = End::new(Role::Server, CONFIG);
        end.accept(&[PREFACE, &settings(&[])[..]].concat());
        end.said();
        end
    }

    /// A client that has greeted and been greeted.
    pub(crate) fn client() -> End {
        let mut end = End::new(Role::Client, CONFIG);
        end.accept(&settings(&[]));
        end.said();
        end
    }

    /// A server with these streams open; the slot of each is its identifier.
    pub(crate) fn with_streams(streams: &[u32]) -> End {
        let mut end = End::server();
        for &stream in streams {
            end.accept(&headers(stream, REQUEST));
            end.connection.insert_stream(stream, stream);
        }
        end.said();
        end
    }

    /// All that comes out for these bytes, up to the error that ends the connection.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> (Vec<Seen>, Option<ConnectionError>) {
        let (mut seen, mut at) = (Vec::new(), 0);
        loop {
            match self.connection.next(&self.dictionary, bytes, &mut at, &mut self.list, self.now_ms) {
                Ok(Some(event)) => seen.push(owned(event, &self.dictionary, &self.list)),
                Ok(None) => {
                    assert_eq!(at, bytes.len(), "not whole frames");
                    return (seen, None);
                }
                Err(error) => return (seen, Some(error)),
            }
        }
    }

    #[track_caller]
    pub(crate) fn accept(&mut self, bytes: &[u8]) -> Vec<Seen> {
        let (seen, error) = self.take(bytes);
        assert_eq!(error, None);
        seen
    }

    /// The code of the error that ends the connection.
    #[track_caller]
    pub(crate) fn refuse(&mut self, bytes: &[u8]) -> ErrorCode {
        let (seen, error) = self.take(bytes);
        error.unwrap_or_else(|| panic!("taken, as {seen:?}")).code
    }

    /// What was written since the last time.
    pub(crate) fn said(&mut self) -> Vec<Said> {
        let out = std::mem::take(&mut self.connection.out);
        parse(out.strip_prefix(&PREFACE[..]).unwrap_or(&out))
    }

    /// Credit given to the peer on a stream, or with 0 on the connection, since the last time.
    pub(crate) fn credit(&mut self, stream: u32) -> u32 {
        let updates = self.said().into_iter().filter(|said| said.kind == frame::WINDOW_UPDATE && said.stream == stream);
        updates.map(|said| u32::from_be_bytes(said.payload.try_into().expect("four bytes"))).sum()
    }

    pub(crate) fn send(&mut self, stream: u32, end: bool, fields: &[(&str, &str)]) {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| self.dictionary.field(name.as_bytes(), value.as_bytes())).collect();
        self.connection.headers(stream, end, |encoder, out| {
            for field in &fields {
                encoder.field(field, out);
            }
        });
    }
}

fn owned(event: Event<'_>, dictionary: &Dictionary, list: &HeaderList) -> Seen {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields = || list.iter(dictionary).map(|(name, value)| (text(name), text(value))).collect();
    match event {
        Event::Opened { stream, end_stream } => Seen::Opened { stream, end: end_stream, fields: fields() },
        Event::Headers { stream, end_stream, .. } => Seen::Headers { stream, end: end_stream, fields: fields() },
        Event::Data { stream, end_stream, bytes, overhead, .. } => {
            Seen::Data { stream, end: end_stream, bytes: bytes.to_vec(), overhead }
        }
        Event::Reset { slot, code } => Seen::Reset { slot, code },
        Event::StreamError { stream, code, .. } => Seen::StreamError { stream, code },
        Event::StreamWindow { slot, increment } => Seen::StreamWindow { slot, increment },
        Event::ConnectionWindow => Seen::ConnectionWindow,
        Event::Settings { window_change } => Seen::Settings { window_change },
        Event::GoAway { last, code } => Seen::GoAway { last, code },
        Event::PingAnswered => Seen::PingAnswered,
    }
}

fn parse(mut out: &[u8]) -> Vec<Said> {
    let mut frames = Vec::new();
    while let Some(header) = FrameHeader::read(out) {
        let (payload, rest) = out[frame::HEADER_LENGTH..].split_at(header.length);
        assert!(header.length <= frame::MAX_FRAME_SIZE);
        frames.push(Said { kind: header.kind, flags: header.flags, stream: header.stream, payload: payload.to_vec() });
        out = rest;
    }
    assert!(out.is_empty(), "half a frame was written");
    frames
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    FrameHeader { length: payload.len(), kind, flags, stream }.write(&mut out);
    out.extend_from_slice(payload);
    out
}

pub(crate) fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write_settings(&mut out, values);
    out
}

/// HEADERS with END_HEADERS.
pub(crate) fn headers(stream: u32, block: &[u8]) -> Vec<u8> {
    frame(frame::HEADERS, frame::END_HEADERS, stream, block)
}

pub(crate) fn data(stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(frame::DATA, 0, stream, bytes)
}

pub(crate) fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(frame::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

pub(crate) fn reset(stream: u32, code: ErrorCode) -> Vec<u8> {
    frame(frame::RST_STREAM, 0, stream, &code.0.to_be_bytes())
}
