//! An HTTP/2 client that has one call at a time, and one more beside a call that lasts, without sockets.

use super::plan::Field;
use crate::http2::hpack::{Dictionary, HeaderList, Limits};
use crate::http2::{Config, Connection, ConnectionError, Ended, ErrorCode, Event, Role};
use std::rc::Rc;

const CONFIG: Config = Config {
    max_concurrent_streams: 1,
    stream_window: 65_535,
    connection_window: 65_535,
    headers: Limits { bytes: 16 << 10, fields: 100 },
};
/// SETTINGS_MAX_FRAME_SIZE as every peer takes it.
const LARGEST_FRAME: usize = 16 << 10;

/// The header fields that a probe looks at.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) status: Option<u16>,
    pub(super) content_type: Vec<u8>,
    pub(super) grpc_status: Option<Vec<u8>>,
    pub(super) grpc_message: Option<Vec<u8>>,
    pub(super) grpc_encoding: Vec<u8>,
}

/// What came of the call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Head or trailers.
    Fields {
        fields: Fields,
        end: bool,
    },
    Data {
        bytes: Vec<u8>,
        end: bool,
    },
    /// The server reset the stream.
    Reset(ErrorCode),
    /// The server is leaving and will not answer the call.
    Left(ErrorCode),
    /// The server broke a rule of the stream.
    Broken,
}

/// The two calls that there may be at once.
pub(super) const MAIN: u32 = 0;
pub(super) const BESIDE: u32 = 1;

#[derive(Debug)]
struct Call {
    stream: u32,
    /// What the stream's window leaves us.
    window: i64,
    unsent: Vec<u8>,
}

pub(super) struct Client {
    connection: Connection,
    dictionary: Rc<Dictionary>,
    list: HeaderList,
    input: Vec<u8>,
    /// By `MAIN` and `BESIDE`.
    calls: [Option<Call>; 2],
}

impl Client {
    pub(super) fn new(dictionary: Rc<Dictionary>, now_ms: u64) -> Client {
        let connection = Connection::new(Role::Client, CONFIG, now_ms);
        Client { connection, dictionary, list: HeaderList::default(), input: Vec::new(), calls: [None, None] }
    }

    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.connection.out
    }

    /// The server's SETTINGS have come.
    pub(super) fn is_settled(&self) -> bool {
        self.connection.is_settled()
    }

    /// Opens the call; false: the server has no room for it, or is leaving. `fields` are well-formed.
    pub(super) fn ask(&mut self, which: u32, fields: &[Field], body: Option<&[u8]>) -> bool {
        let Some(stream) = self.connection.open_stream(which) else { return false };
        let mut list = HeaderList::default();
        for (name, value) in fields {
            list.push_shared(&self.dictionary.field(name, value));
        }
        self.connection.headers(stream, body.is_none(), |encoder, out| encoder.list(&list, out));
        let window = i64::from(self.connection.initial_send_window());
        self.calls[which as usize] = Some(Call { stream, window, unsent: body.unwrap_or_default().to_vec() });
        if body.is_some() {
            self.send();
        }
        true
    }

    /// Forgets the call, which has ended; false: there can be no other on this connection.
    pub(super) fn let_go(&mut self, which: u32) -> bool {
        if let Some(call) = self.calls[which as usize].take() {
            self.connection.remove_stream(call.stream, Ended::Complete);
        }
        self.connection.has_room()
    }

    /// `parts`: which call, and what came of it.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        now_ms: u64,
        parts: &mut Vec<(u32, Part)>,
    ) -> Result<(), ConnectionError> {
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let mut at = 0;
        let mut may_send = false;
        while let Some(event) = self.connection.next(&self.dictionary, &input, &mut at, &mut self.list, now_ms)? {
            match event {
                Event::Headers { slot, end_stream, .. } => {
                    if self.list.is_malformed() || self.list.is_oversize() {
                        parts.push((slot, Part::Broken));
                    } else {
                        parts.push((slot, Part::Fields { fields: self.fields(), end: end_stream }));
                    }
                }
                Event::Data { stream, slot, end_stream, bytes, overhead } => {
                    let received = bytes.len() as u32 + overhead;
                    if received > 0 && !end_stream {
                        self.connection.window_update(stream, received);
                    }
                    parts.push((slot, Part::Data { bytes: bytes.to_vec(), end: end_stream }));
                }
                Event::Reset { slot, code } => parts.push((slot, Part::Reset(code))),
                Event::StreamError { slot, .. } => parts.push((slot, Part::Broken)),
                Event::GoAway { last, code } => {
                    for which in [MAIN, BESIDE] {
                        if self.calls[which as usize].as_ref().is_some_and(|call| call.stream > last) {
                            parts.push((which, Part::Left(code)));
                        }
                    }
                    if self.calls[MAIN as usize].is_none() {
                        parts.push((MAIN, Part::Left(code)));
                    }
                }
                Event::StreamWindow { slot, increment } => {
                    self.calls[slot as usize].iter_mut().for_each(|call| call.window += i64::from(increment));
                    may_send = true;
                }
                Event::Settings { window_change } => {
                    self.calls.iter_mut().flatten().for_each(|call| call.window += window_change);
                    may_send = true;
                }
                Event::ConnectionWindow => may_send = true,
                Event::Opened { .. } | Event::PingAnswered => {}
            }
        }
        input.drain(..at);
        self.input = input;
        if may_send {
            self.send();
        }
        Ok(())
    }

    /// As much of the bodies as the windows leave room for.
    fn send(&mut self) {
        for call in self.calls.iter_mut().flatten() {
            while !call.unsent.is_empty() {
                let room = call.window.min(i64::from(self.connection.send_window)).max(0) as usize;
                let length = room.min(call.unsent.len()).min(LARGEST_FRAME);
                if length == 0 {
                    break;
                }
                let rest = call.unsent.split_off(length);
                self.connection.data(call.stream, rest.is_empty(), &call.unsent);
                call.window -= length as i64;
                call.unsent = rest;
            }
        }
    }

    fn fields(&self) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in self.list.iter(&self.dictionary) {
            match name {
                b":status" => fields.status = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
                b"content-type" => fields.content_type = value.to_vec(),
                b"grpc-status" => fields.grpc_status = Some(value.to_vec()),
                b"grpc-message" => fields.grpc_message = Some(value.to_vec()),
                b"grpc-encoding" => fields.grpc_encoding = value.to_vec(),
                _ => {}
            }
        }
        fields
    }
}
