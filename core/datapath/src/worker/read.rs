//! From a readable socket to the events of its protocol.

use super::Worker;
use super::connection::{CONTROL_HIGH_WATER, Protocol, Stage};
use super::exchange::{CLIENT, UPSTREAM};
use crate::http1::{self, sniff};
use crate::http2::frame::DATA;
use crate::http2::{ConnectionError, Event, Role};
use crate::observe::counters::Counter;
use crate::tls::Alpn;
use std::io::ErrorKind;

impl Worker {
    /// Reads once and handles what came; comes back in the next turn if there may be more.
    pub(super) fn readable(&mut self, slot: u32) {
        if self.holds_enough(slot) {
            return;
        }
        let Some(connection) = self.connections.get(slot) else { return };
        match connection.stage {
            Stage::Connecting => return,
            Stage::Closing => return self.discard(slot),
            Stage::Open if connection.backlog() > CONTROL_HIGH_WATER => {
                connection.paused = true;
                return;
            }
            Stage::Open => connection.paused = false,
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        let kept = connection.input.len();
        buffer[..kept].copy_from_slice(&connection.input);
        let outcome = match kept == buffer.len() {
            true => Err(ErrorKind::WouldBlock.into()),
            false => connection.transport.read(&mut buffer[kept..]),
        };
        if connection.transport.wants_write() {
            self.mark(slot);
        }
        match outcome {
            Ok(0) => self.peer_closed(slot),
            Ok(read) => {
                if let Some(connection) = self.connections.get(slot) {
                    let from =
                        if connection.is_client() { Counter::BytesFromClients } else { Counter::BytesFromBackends };
                    self.mailbox.stats.counters.add(from, read as u64);
                    connection.active_ms = self.clock.now_ms;
                    if kept + read == buffer.len() || connection.transport.may_hold_more() || connection.peer_ended {
                        self.again.push(slot);
                    }
                }
                self.process_and_keep(slot, &buffer[..kept + read]);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // Input that waited for its turn.
                if kept > 0 && self.connections.get(slot).and_then(|c| c.http1()).is_some_and(|http1| !http1.stalled) {
                    self.process_and_keep(slot, &buffer[..kept]);
                    // The socket's own edge may have come while its bytes were left waiting.
                    if self.connections.peek(slot).is_some_and(|connection| connection.input.len() < kept) {
                        self.again.push(slot);
                    }
                }
            }
            Err(_) => self.peer_closed(slot),
        }
        self.buffer = buffer;
    }

    /// Reads what a peer still sends while its connection is being closed; at its end the socket goes.
    fn discard(&mut self, slot: u32) {
        let Some(connection) = self.connections.get(slot) else { return };
        let outcome = connection.transport.read(&mut self.buffer);
        match outcome {
            Ok(read) if read > 0 => self.again.push(slot),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            _ if connection.backlog() == 0 => self.close_connection(slot),
            _ => {}
        }
    }

    fn process_and_keep(&mut self, slot: u32, bytes: &[u8]) {
        if let Some(connection) = self.connections.get(slot) {
            connection.input.clear();
        }
        match self.process(slot, bytes) {
            Ok(used) if used < bytes.len() => {
                if let Some(connection) = self.connections.get(slot) {
                    connection.input.extend_from_slice(&bytes[used..]);
                }
            }
            Ok(_) => {}
            Err(error) => self.fail_connection(slot, error),
        }
        self.note_unfinished_head(slot);
    }

    /// Settles what is spoken: what the TLS handshake agreed on, else what the first bytes look like.
    fn settle_protocol(&mut self, slot: u32, bytes: &[u8]) -> bool {
        let Some(connection) = self.connections.get(slot) else { return false };
        let spoken = match connection.transport.alpn() {
            Some(Alpn::Http2) => http1::Protocol::Http2,
            Some(Alpn::Http1) => http1::Protocol::Http1,
            None => sniff(bytes),
        };
        match spoken {
            http1::Protocol::NeedMore => return false,
            http1::Protocol::Http2 => self.speak_http2(slot, Role::Server),
            http1::Protocol::Http1 => connection.protocol = Protocol::Http1(Box::default()),
        }
        self.take_client_certificate(slot);
        true
    }

    /// Handles all that is whole in `bytes`; returns how many bytes that were.
    fn process(&mut self, slot: u32, bytes: &[u8]) -> Result<usize, ConnectionError> {
        let Some(connection) = self.connections.get(slot) else { return Ok(bytes.len()) };
        let is_client = connection.is_client();
        if matches!(connection.protocol, Protocol::Unknown) && !self.settle_protocol(slot, bytes) {
            return Ok(0);
        }
        if self.connections.get(slot).is_some_and(|connection| connection.http1().is_some()) {
            return Ok(self.process_http1(slot, bytes));
        }
        let side = if is_client { CLIENT } else { UPSTREAM };
        let mut at = 0;
        let mut list = std::mem::take(&mut self.list);
        let result = loop {
            // A connection may end within the loop.
            let Some(connection) = self.connections.get(slot) else { break Ok(bytes.len()) };
            if connection.stage == Stage::Closing {
                break Ok(bytes.len());
            }
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
                    self.ping_answered(slot);
                    Ok(())
                }
            };
            if let Err(error) = handled {
                break Err(error);
            }
        };
        self.list = list;
        result
    }

    /// Header blocks and prefaces have to be complete within a time.
    fn note_unfinished_head(&mut self, slot: u32) {
        let now_ms = self.clock.now_ms;
        let Some(connection) = self.connections.get(slot) else { return };
        let waits = !connection.input.is_empty();
        let unfinished = match &connection.protocol {
            Protocol::Http2(http2) => {
                // DATA may be slow where the line is; everything else is small.
                let frame_waits = waits && connection.input.get(3) != Some(&DATA);
                frame_waits || http2.in_header_block() || !http2.is_settled()
            }
            // An empty line behind a request is nobody's beginning (RFC 9112, section 2.2).
            Protocol::Http1(http1) => {
                let begun = if http1.requests == 0 { true } else { waits && connection.input != b"\r\n" };
                begun && http1.exchange.is_none()
            }
            Protocol::Unknown => true,
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
