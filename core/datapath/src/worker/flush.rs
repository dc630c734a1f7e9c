//! The end of a turn: each connection that has something to say is written once.

use super::Worker;
use super::connection::{CONTROL_HIGH_WATER, HIGH_WATER, Protocol, Stage};
use std::io::ErrorKind;

/// An empty output buffer that grew larger than this is given back: clients are many, connections to backends few and
/// filled again in the next turn.
const KEPT_FOR_CLIENT: usize = 128 << 10;
const KEPT_FOR_BACKEND: usize = 1 << 20;

impl Worker {
    pub(super) fn flush(&mut self) {
        let mut list = std::mem::take(&mut self.dirty);
        for slot in list.drain(..) {
            self.write(slot);
        }
        // What became dirty meanwhile is written in the next turn.
        if self.dirty.is_empty() {
            self.dirty = list;
        }
    }

    /// Writes a connection in the middle of a turn, since its buffer has no room for more. It may be closed thereby.
    #[cold]
    pub(super) fn make_room(&mut self, slot: u32) {
        if self.connections.peek(slot).is_some_and(|connection| !connection.blocked) {
            self.write(slot);
            self.mark(slot);
        }
    }

    fn write(&mut self, slot: u32) {
        let Some(connection) = self.connections.get(slot) else { return };
        connection.dirty = false;
        if connection.stage == Stage::Connecting || connection.blocked {
            return;
        }
        let transport_waits = connection.transport.wants_write();
        let kept = if connection.is_client() { KEPT_FOR_CLIENT } else { KEPT_FOR_BACKEND };
        let (closing, transport) = (connection.stage == Stage::Closing, &mut connection.transport);
        let Some((out, written)) = (match &mut connection.protocol {
            Protocol::Http2(http2) => Some((&mut http2.out, &mut http2.written)),
            Protocol::Http1(http1) => Some((&mut http1.out, &mut http1.written)),
            Protocol::Unknown => None,
        }) else {
            match transport.flush() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => connection.blocked = true,
                Err(_) => self.close_connection(slot),
                Ok(()) if closing => self.close_connection(slot),
                Ok(()) => {}
            }
            return;
        };
        let mut outcome = if transport_waits { transport.flush() } else { Ok(()) };
        while outcome.is_ok() && *written < out.len() {
            outcome = transport.write(&out[*written..]).map(|count| *written += count);
        }
        if outcome.is_ok() && transport.wants_write() {
            outcome = transport.flush();
        }
        match outcome {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => connection.blocked = true,
            Err(_) => {
                self.close_connection(slot);
                return;
            }
        }
        let backlog = out.len() - *written;
        if backlog == 0 {
            out.clear();
            *written = 0;
            if out.capacity() > kept {
                *out = Vec::new();
            }
            if closing && !connection.blocked {
                self.finish_closing(slot);
                return;
            }
        } else if *written >= HIGH_WATER {
            out.drain(..*written);
            *written = 0;
        }
        if connection.paused && backlog < CONTROL_HIGH_WATER / 2 {
            connection.paused = false;
            self.again.push(slot);
        }
        if backlog < HIGH_WATER / 2 && self.connections.peek(slot).is_some_and(|c| !c.waiting.is_empty()) {
            self.unblock(slot);
        }
    }

    /// Everything was said. The peer is told so and given a moment to read it: a socket that is closed with unread input
    /// resets the connection, and the answer with it.
    fn finish_closing(&mut self, slot: u32) {
        let Some(connection) = self.connections.get(slot) else { return };
        if connection.transport.shutdown_write().is_err() {
            self.close_connection(slot);
        }
    }
}
