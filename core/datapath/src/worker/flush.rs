//! The end of a turn: each connection that has something to say is written once.

use super::Worker;
use super::connection::{CONTROL_HIGH_WATER, HIGH_WATER, Protocol, Stage};
use std::io::ErrorKind;

/// An output buffer that grew larger than this is given back when it is empty.
const KEPT_CAPACITY: usize = 128 << 10;

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

    fn write(&mut self, slot: u32) {
        let Some(connection) = self.connections.get(slot) else { return };
        connection.dirty = false;
        if connection.stage == Stage::Connecting || connection.blocked {
            return;
        }
        let Protocol::Http2(http2) = &mut connection.protocol else { return };
        while http2.written < http2.out.len() {
            match connection.socket.write(&http2.out[http2.written..]) {
                Ok(written) => http2.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    connection.blocked = true;
                    break;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => {
                    self.close_connection(slot);
                    return;
                }
            }
        }
        if http2.backlog() == 0 {
            http2.out.clear();
            http2.written = 0;
            if http2.out.capacity() > KEPT_CAPACITY {
                http2.out = Vec::new();
            }
            if connection.stage == Stage::Closing {
                self.close_connection(slot);
                return;
            }
        } else if http2.written >= HIGH_WATER {
            http2.out.drain(..http2.written);
            http2.written = 0;
        }
        let backlog = http2.backlog();
        if connection.paused && backlog < CONTROL_HIGH_WATER / 2 {
            connection.paused = false;
            self.again.push(slot);
        }
        if backlog < HIGH_WATER / 2 && self.connections.peek(slot).is_some_and(|c| !c.waiting.is_empty()) {
            self.unblock(slot);
        }
    }
}
