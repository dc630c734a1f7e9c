//! From a readable socket to the events of its protocol.

use super::Worker;
use super::connection::{CONTROL_HIGH_WATER, Protocol, Stage};
use super::exchange::{CLIENT, UPSTREAM};
use crate::http2::{ConnectionError, Event, Role};
use std::io::ErrorKind;

impl Worker {
    /// Reads once and handles what came; comes back in the next turn if there may be more.
    pub(super) fn readable(&mut self, slot: u32) {
        let Some(connection) = self.connections.get(slot) else { return };
        match connection.stage {
            Stage::Connecting | Stage::Closing => return,
            Stage::Open if connection.backlog() > CONTROL_HIGH_WATER => {
                connection.paused = true;
                return;
            }
            Stage::Open => connection.paused = false,
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let kept = connection.input.len();
        buffer[..kept].copy_from_slice(&connection.input);
        match connection.socket.read(&mut buffer[kept..]) {
            Ok(0) => self.peer_closed(slot),
            Ok(read) => {
                connection.input.clear();
                connection.active_ms = self.clock.now_ms;
                let filled = kept + read;
                if filled == buffer.len() {
                    self.again.push(slot);
                }
                match self.process(slot, &buffer[..filled]) {
                    Ok(used) if used < filled => {
                        if let Some(connection) = self.connections.get(slot) {
                            connection.input.extend_from_slice(&buffer[used..filled]);
                        }
                    }
                    Ok(_) => {}
                    Err(error) => self.fail_connection(slot, error),
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => self.again.push(slot),
            Err(_) => self.peer_closed(slot),
        }
        self.buffer = buffer;
    }

    /// Handles all that is whole in `bytes`; returns how many bytes that were.
    fn process(&mut self, slot: u32, bytes: &[u8]) -> Result<usize, ConnectionError> {
        let Some(connection) = self.connections.get(slot) else { return Ok(bytes.len()) };
        let is_client = connection.is_client();
        if let Protocol::Unknown = connection.protocol {
            self.speak_http2(slot, Role::Server);
        }
        let side = if is_client { CLIENT } else { UPSTREAM };
        let mut at = 0;
        let mut list = std::mem::take(&mut self.list);
        let result = loop {
            // A connection may end within the loop.
            let Some(connection) = self.connections.get(slot) else { break Ok(bytes.len()) };
            let Some(http2) = connection.http2() else { break Ok(bytes.len()) };
            let event = match http2.next(&self.dictionary, bytes, &mut at, &mut list, self.clock.now_ms) {
                Ok(Some(event)) => event,
                Ok(None) => {
                    if http2.backlog() > 0 {
                        self.mark(slot);
                    }
                    break Ok(at);
                }
                Err(error) => break Err(error),
            };
            let handled = match event {
                Event::Data { stream, slot: exchange, end_stream, bytes, overhead } => {
                    self.data(slot, side, stream, exchange, end_stream, bytes, overhead)
                }
                Event::Opened { stream, end_stream } => self.request(slot, stream, end_stream, &mut list),
                Event::Headers { stream, slot: exchange, end_stream } if is_client => {
                    self.request_trailers(slot, stream, exchange, end_stream, &mut list)
                }
                Event::Headers { slot: exchange, end_stream, .. } => {
                    self.response(exchange, end_stream, &mut list);
                    Ok(())
                }
                Event::StreamWindow { slot: exchange, increment } => {
                    self.stream_window(slot, side, exchange, increment)
                }
                Event::ConnectionWindow => {
                    self.unblock(slot);
                    Ok(())
                }
                Event::Settings { window_change } => self.settings(slot, side, window_change),
                Event::Reset { slot: exchange, code } => {
                    self.peer_reset(side, exchange, code);
                    Ok(())
                }
                Event::StreamError { stream, slot: exchange, code } => {
                    self.stream_error(slot, side, stream, exchange, code)
                }
                Event::GoAway { last, .. } => {
                    self.goaway_received(slot, last);
                    Ok(())
                }
                Event::PingAnswered => {
                    if let Some(connection) = self.connections.get(slot) {
                        connection.ping_sent_ms = 0;
                    }
                    Ok(())
                }
            };
            if let Err(error) = handled {
                break Err(error);
            }
        };
        self.list = list;
        self.note_unfinished_head(slot);
        result
    }

    /// Header blocks and prefaces have to be complete within a time.
    fn note_unfinished_head(&mut self, slot: u32) {
        let now_ms = self.clock.now_ms;
        let Some(connection) = self.connections.get(slot) else { return };
        let unfinished = match connection.http2() {
            Some(http2) => http2.in_header_block() || !http2.is_settled(),
            None => true,
        };
        if !unfinished {
            connection.head_since_ms = 0;
        } else if connection.head_since_ms == 0 {
            connection.head_since_ms = now_ms;
            let timeout_ms = self.snapshot.limits.header_timeout_ms;
            self.arm_connection(slot, now_ms + timeout_ms);
        }
    }
}
