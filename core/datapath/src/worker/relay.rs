//! Bodies, both ways, within the windows of both sides.
//!
//! DATA goes straight from the read buffer into the other side's output buffer. What does not fit (a window, the output
//! buffer's high-water mark, no connection yet) waits in the exchange; its sender gets credit only as it is passed on, so
//! a stalled stream holds at most one window, and all of them together what the process may buffer.

use super::connection::HIGH_WATER;
use super::exchange::{CLIENT, Exchange, NONE, Pending, UPSTREAM};
use super::{Worker, answer};
use crate::http2::frame::MAX_FRAME_SIZE;
use crate::http2::hpack::HeaderList;
use crate::http2::{ConnectionError, ErrorCode};
use crate::shared::Shared;
use crate::snapshot::document::Limits;

/// DATA smaller than this that a window forces on us although more is waiting counts as a glitch of the window's owner.
const TINY: usize = 64;
/// Bodies up to this are kept for a retry without asking the budget.
const KEPT_FREELY: usize = 4 << 10;
/// A pending buffer gives back what it has sent when that is at least this much.
const COMPACT_AT: usize = 64 << 10;

impl Worker {
    #[allow(clippy::too_many_arguments)]
    #[inline]
    pub(super) fn data(
        &mut self,
        connection: u32,
        side: usize,
        stream: u32,
        slot: u32,
        end_stream: bool,
        bytes: &[u8],
        overhead: u32,
    ) -> Result<(), ConnectionError> {
        let exchange = &mut self.exchanges[slot];
        let half = &mut exchange.sides[side];
        let flow = bytes.len() as u32 + overhead;
        half.receive_window -= flow as i32;
        if half.receive_window < 0 {
            return self.stream_error(connection, side, stream, slot, ErrorCode::FLOW_CONTROL_ERROR);
        }
        if half.ended || !half.headed {
            let code = if half.ended { ErrorCode::STREAM_CLOSED } else { ErrorCode::PROTOCOL_ERROR };
            return self.stream_error(connection, side, stream, slot, code);
        }
        half.ended = end_stream;
        half.bytes += bytes.len() as u64;
        half.uncredited += overhead;
        if half.remaining != u64::MAX {
            match half.remaining.checked_sub(bytes.len() as u64) {
                Some(left) if left == 0 || !end_stream => half.remaining = left,
                _ => return self.stream_error(connection, side, stream, slot, ErrorCode::PROTOCOL_ERROR),
            }
        }
        if bytes.is_empty() && !end_stream {
            // It moved nothing; some backends end the connection of all clients over such frames.
            self.credit(slot, side, 0);
            return Ok(());
        }
        let largest = self.snapshot.limits.max_body_bytes;
        if largest > 0 && side == CLIENT && half.bytes > largest {
            self.fail(slot, answer::BODY_TOO_LARGE);
            return Ok(());
        }
        if exchange.idle_timeout_ms > 0 {
            exchange.active_ms = self.clock.now_ms;
        }
        if exchange.transcoding.is_some() {
            match side {
                CLIENT => self.collect(slot, bytes, end_stream),
                _ => self.transcoded_data(slot, bytes, end_stream),
            }
            return Ok(());
        }
        if side == CLIENT {
            keep_for_retry(exchange, bytes, &self.snapshot.limits, &self.shared);
        }
        let to = exchange.sides[1 - side];
        let generation = exchange.generation;
        if self.connections.peek(to.connection).is_some_and(|towards| towards.backlog() >= HIGH_WATER) {
            self.make_room(to.connection);
            if self.exchanges.current(slot, generation).is_none() {
                return Ok(());
            }
        }
        let exchange = &mut self.exchanges[slot];
        if exchange.sides[1 - side].connection != to.connection {
            // It went with its connection, and what it sent meanwhile was kept for a retry.
            return Ok(());
        }
        if exchange.pending[1 - side].is_none()
            && to.connection != NONE
            && let Some((from, towards)) = self.connections.pair(connection, to.connection)
        {
            let length = bytes.len() as i32;
            if length <= towards.send_window() && length <= to.send_window && towards.backlog() < HIGH_WATER {
                let written = towards.write_data(&self.dictionary, to.stream, bytes, end_stream);
                if to.stream != 0 {
                    exchange.sides[1 - side].send_window -= length;
                }
                let half = &mut exchange.sides[side];
                half.uncredited += bytes.len() as u32;
                if !end_stream && half.uncredited >= half.credit_at {
                    if let Some(http2) = from.http2() {
                        http2.window_update(stream, half.uncredited);
                        half.receive_window += half.uncredited as i32;
                    }
                    half.uncredited = 0;
                }
                self.mark(to.connection);
                if written.is_err() {
                    self.reset_client(slot, ErrorCode::INTERNAL_ERROR);
                } else if end_stream && side == UPSTREAM {
                    self.complete(slot);
                }
                return Ok(());
            }
        }
        self.queue_data(slot, 1 - side, bytes, end_stream);
        Ok(())
    }

    /// Keeps data for one side until it can be sent.
    pub(super) fn queue_data(&mut self, slot: u32, to: usize, bytes: &[u8], end: bool) {
        if !self.shared.charge(bytes.len(), self.snapshot.limits.max_buffer_bytes) {
            self.fail(slot, answer::BUFFER_FULL);
            return;
        }
        let pending = self.exchanges[slot].pending[to].get_or_insert_default();
        pending.data.extend_from_slice(bytes);
        pending.end |= end;
        self.pump(slot, to);
    }

    /// Sends trailers behind what waits; they end that direction.
    pub(super) fn send_trailers(&mut self, slot: u32, to: usize, trailers: Box<HeaderList>) {
        let pending = self.exchanges[slot].pending[to].get_or_insert_default();
        pending.end = true;
        pending.trailers = Some(trailers);
        self.pump(slot, to);
    }

    /// Sends to one side what waits for it, as far as windows and buffer allow.
    pub(super) fn pump(&mut self, slot: u32, to: usize) {
        let exchange = &mut self.exchanges[slot];
        let half = exchange.sides[to];
        let Some(pending) = &mut exchange.pending[to] else { return };
        let Some(connection) = self.connections.get(half.connection) else { return };
        let mut written = Ok(());
        let mut send_window = half.send_window;
        let before = pending.position;
        let mut starved = false;
        while pending.left() > 0 && connection.backlog() < HIGH_WATER {
            let room = connection.send_window().min(send_window).max(0) as usize;
            let length = pending.left().min(MAX_FRAME_SIZE).min(room);
            if length == 0 {
                break;
            }
            starved |= length < TINY && length < pending.left();
            let last = length == pending.left() && pending.end && pending.trailers.is_none();
            let bytes = &pending.data[pending.position..pending.position + length];
            written = written.and(connection.write_data(&self.dictionary, half.stream, bytes, last));
            pending.position += length;
            if half.stream != 0 {
                send_window -= length as i32;
            }
        }
        let moved = pending.position - before;
        let mut ended = false;
        if pending.left() == 0 {
            if let Some(trailers) = pending.trailers.take() {
                written = written.and(connection.write_end(&self.dictionary, half.stream, Some(&trailers)));
                ended = true;
            } else if pending.end {
                if moved == 0 {
                    written = written.and(connection.write_end(&self.dictionary, half.stream, None));
                }
                ended = true;
            }
        }
        let credited = pending.credited.min(moved);
        pending.credited -= credited;
        let finished = pending.left() == 0;
        if finished {
            exchange.pending[to] = None;
        } else {
            compact(pending);
            let waiting = (slot, exchange.generation);
            if !connection.waiting.contains(&waiting) {
                connection.waiting.push(waiting);
            }
        }
        let glitch = match (starved, connection.http2()) {
            (true, Some(http2)) => http2.count_glitch(self.clock.now_ms),
            _ => Ok(()),
        };
        exchange.sides[to].send_window = send_window;
        self.shared.refund(moved);
        if moved > 0 || ended {
            self.mark(half.connection);
        }
        self.credit(slot, 1 - to, (moved - credited) as u32);
        if let Err(error) = glitch {
            self.fail_connection(half.connection, error);
        } else if written.is_err() {
            self.reset_client(slot, ErrorCode::INTERNAL_ERROR);
        } else if ended && to == CLIENT {
            self.complete(slot);
        }
    }

    /// Gives a sender credit for what was passed on.
    pub(super) fn credit(&mut self, slot: u32, side: usize, bytes: u32) {
        let half = &mut self.exchanges[slot].sides[side];
        if half.stream == 0 {
            let connection = half.connection;
            self.resume_http1(connection);
            return;
        }
        half.uncredited += bytes;
        if half.ended || half.uncredited < half.credit_at {
            return;
        }
        let increment = std::mem::take(&mut half.uncredited);
        half.receive_window += increment as i32;
        let (connection, stream) = (half.connection, half.stream);
        if let Some(http2) = self.connections.get(connection).and_then(|connection| connection.http2()) {
            http2.window_update(stream, increment);
            self.mark(connection);
        }
    }

    /// A connection's window has opened, or its buffer has drained: those who waited for it go on.
    pub(super) fn unblock(&mut self, slot: u32) {
        let Some(connection) = self.connections.get(slot) else { return };
        for (exchange, generation) in std::mem::take(&mut connection.waiting) {
            let Some(current) = self.exchanges.current(exchange, generation) else { continue };
            for side in [CLIENT, UPSTREAM] {
                if current.sides[side].connection == slot {
                    self.pump(exchange, side);
                    break;
                }
            }
        }
    }

    pub(super) fn stream_window(
        &mut self,
        connection: u32,
        side: usize,
        slot: u32,
        increment: u32,
    ) -> Result<(), ConnectionError> {
        let half = &mut self.exchanges[slot].sides[side];
        let Some(window) = half.send_window.checked_add(increment as i32) else {
            let stream = half.stream;
            return self.stream_error(connection, side, stream, slot, ErrorCode::FLOW_CONTROL_ERROR);
        };
        half.send_window = window;
        self.pump(slot, side);
        Ok(())
    }

    /// The peer's initial window changed for all of its streams, and maybe its limit of streams.
    pub(super) fn settings(&mut self, slot: u32, side: usize, change: i64) -> Result<(), ConnectionError> {
        self.mark(slot);
        if change != 0 {
            let Some(connection) = self.connections.get(slot) else { return Ok(()) };
            let Some(http2) = connection.http2() else { return Ok(()) };
            let streams: Vec<u32> = http2.streams().map(|(_, exchange)| exchange).collect();
            for &exchange in &streams {
                let window = &mut self.exchanges[exchange].sides[side].send_window;
                *window = i64::from(*window)
                    .checked_add(change)
                    .and_then(|sum| i32::try_from(sum).ok())
                    .ok_or(ConnectionError::flow_control("SETTINGS that push a window over 2^31-1"))?;
            }
            for exchange in streams {
                if self.exchanges[exchange].live {
                    self.pump(exchange, side);
                }
            }
        }
        self.upstream_settled(slot);
        Ok(())
    }
}

/// What a safe retry would need to send again. Small requests are kept for nothing; larger ones count.
#[inline]
fn keep_for_retry(exchange: &mut Exchange, bytes: &[u8], limits: &Limits, shared: &Shared) {
    let Some(head) = &mut exchange.head else { return };
    if !head.replayable {
        return;
    }
    let length = head.body.len() + bytes.len();
    if length > KEPT_FREELY {
        let fits = length <= limits.retry_buffer_bytes as usize;
        if !fits || !shared.charge(length - head.charged, limits.max_buffer_bytes) {
            head.replayable = false;
            head.body = Vec::new();
            shared.refund(std::mem::take(&mut head.charged));
            return;
        }
        head.charged = length;
    }
    head.body.extend_from_slice(bytes);
}

fn compact(pending: &mut Pending) {
    if pending.position >= COMPACT_AT {
        pending.data.drain(..pending.position);
        pending.position = 0;
    }
}
