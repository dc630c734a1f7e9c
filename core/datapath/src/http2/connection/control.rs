//! Frames that are about the connection, or that say little: SETTINGS, PING, GOAWAY, RST_STREAM, PRIORITY.

use super::{Connection, Event, Role};
use crate::http2::frame::{self, FrameHeader};
use crate::http2::guard::Offence;
use crate::http2::hpack::{Dictionary, HeaderList};
use crate::http2::{ConnectionError, ErrorCode};

impl Connection {
    pub(super) fn other_frame(
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
                let slot = self.streams.get(stream);
                if self.role == Role::Server {
                    match slot {
                        Some(_) => self.guard.count(Offence::Reset, now_ms)?,
                        None if self.history.gave_up(stream) => {}
                        None => self.guard.count(Offence::Glitch, now_ms)?,
                    }
                }
                let code = ErrorCode(u32::from_be_bytes([a, b, c, d]));
                Ok(slot.map(|slot| Event::Reset { slot, code }))
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

    pub(super) fn priority_frame(
        &mut self,
        stream: u32,
        payload: &[u8],
    ) -> Result<Option<Event<'static>>, ConnectionError> {
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

    pub(super) fn settings_frame(
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
}
