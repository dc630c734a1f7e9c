//! What happens because time passes.

use super::connection::{Protocol, Stage};
use super::exchange::Phase;
use super::{Key, Worker, answer};
use crate::http2::ErrorCode;
use crate::observe::counters::Counter;
use std::rc::Rc;

/// When a connection on which nothing was said yet is asked again to go.
const UNKNOWN_RETRY_MS: u64 = 100;

impl Worker {
    pub(super) fn arm_connection(&mut self, slot: u32, at_ms: u64) {
        if let Some(connection) = self.connections.get(slot) {
            self.wheel.arm(&mut connection.armed, Key::Connection(slot), at_ms);
        }
    }

    /// A deadline from now on; an earlier one stays.
    pub(super) fn set_deadline(&mut self, slot: u32, timeout_ms: u64) {
        let at_ms = self.clock.now_ms.saturating_add(timeout_ms).max(1);
        let exchange = &mut self.exchanges[slot];
        if exchange.deadline_ms == 0 || at_ms < exchange.deadline_ms {
            exchange.deadline_ms = at_ms;
            self.wheel.arm(&mut exchange.armed, Key::Exchange(slot), at_ms);
        }
    }

    /// Handles everything that is due.
    pub(super) fn expire(&mut self) {
        self.refresh_date();
        let mut due = std::mem::take(&mut self.due);
        self.wheel.advance(self.clock.now_ms, &mut due);
        for (key, tick) in due.drain(..) {
            match key {
                Key::Exchange(slot) => {
                    if self.exchanges[slot].armed.take(tick) && self.exchanges[slot].live {
                        self.exchange_due(slot);
                    }
                }
                Key::Connection(slot) => {
                    if self.connections.get(slot).is_some_and(|connection| connection.armed.take(tick)) {
                        self.connection_due(slot);
                    }
                }
                Key::Pool(pool) => self.drain_queue(pool),
            }
        }
        self.due = due;
    }

    fn exchange_due(&mut self, slot: u32) {
        let now_ms = self.clock.now_ms;
        let quiet_ms = self.leave_if_quiet(slot);
        let exchange = &mut self.exchanges[slot];
        let generation = exchange.generation;
        if exchange.phase == Phase::Answered {
            return;
        }
        if exchange.deadline_ms > 0 && now_ms >= exchange.deadline_ms {
            self.fail(slot, answer::DEADLINE);
            return;
        }
        if exchange.phase == Phase::Held && now_ms >= exchange.held_until_ms {
            self.held.retain(|held| *held != (slot, generation));
            self.readmit(slot, false);
            return;
        }
        if exchange.idle_timeout_ms > 0 && now_ms >= exchange.active_ms + exchange.idle_timeout_ms {
            self.fail(slot, answer::IDLE);
            return;
        }
        if exchange.tries.as_ref().is_some_and(|tries| now_ms >= tries.next_ms()) {
            self.tries_due(slot);
            if self.exchanges.current(slot, generation).is_none() {
                return;
            }
        }
        let exchange = &mut self.exchanges[slot];
        let mut at_ms = if exchange.deadline_ms > 0 { exchange.deadline_ms.min(quiet_ms) } else { quiet_ms };
        if exchange.phase == Phase::Held {
            at_ms = at_ms.min(exchange.held_until_ms);
        }
        if exchange.idle_timeout_ms > 0 {
            at_ms = at_ms.min(exchange.active_ms + exchange.idle_timeout_ms);
        }
        at_ms = at_ms.min(exchange.tries.as_ref().map_or(u64::MAX, |tries| tries.next_ms()));
        if at_ms == u64::MAX {
            return;
        }
        self.wheel.arm(&mut exchange.armed, Key::Exchange(slot), at_ms);
    }

    fn connection_due(&mut self, slot: u32) {
        let now_ms = self.clock.now_ms;
        let limits = &self.snapshot.limits;
        let (header_timeout_ms, idle_timeout_ms) = (limits.header_timeout_ms, limits.idle_timeout_ms);
        let body_timeout_ms = limits.body_timeout_ms;
        let pool = self.pool_of(slot).and_then(|pool| self.pools.get(pool as usize));
        let connect_timeout_ms = pool.map_or(0, |pool| pool.backend.connect_timeout_ms);
        let (quiet_ms, answer_ms) = match pool {
            Some(pool) => (pool.backend.keepalive_time_ms, pool.backend.keepalive_timeout_ms),
            None => (limits.keepalive_time_ms, limits.keepalive_timeout_ms),
        };
        let Some(connection) = self.connections.get(slot) else { return };
        if !connection.is_client() && !connection.ready {
            let at_ms = connection.opened_ms + connect_timeout_ms;
            if now_ms >= at_ms {
                self.close_connection(slot);
            } else {
                self.arm_connection(slot, at_ms);
            }
            return;
        }
        if connection.end_ms > 0 && now_ms >= connection.end_ms {
            self.close_connection(slot);
            return;
        }
        if connection.head_since_ms > 0 && now_ms >= connection.head_since_ms + header_timeout_ms {
            self.head_overdue(slot);
            return;
        }
        let is_client = connection.is_client();
        let is_http1 = connection.http1().is_some();
        let is_http2 = connection.http2().is_some();
        let (active_ms, drain_ms, drained) = (connection.active_ms, connection.drain_ms, connection.drained);
        let (head_since_ms, end_ms, ping_sent_ms) =
            (connection.head_since_ms, connection.end_ms, connection.ping_sent_ms);
        let streams = connection.stream_count();
        if self.body_is_overdue(slot) {
            self.time_out_body(slot);
            return;
        }
        if ping_sent_ms > 0 && now_ms >= ping_sent_ms + answer_ms {
            self.close_connection(slot);
            return;
        }
        if is_client && drain_ms > 0 && now_ms >= drain_ms && !drained {
            self.drain_connection(slot);
            return;
        }
        if is_client && streams == 0 && now_ms >= active_ms + idle_timeout_ms {
            if is_http1 {
                self.close_connection(slot);
            } else {
                self.drain_connection(slot);
            }
            return;
        }
        // Backends are left alone while nothing runs there.
        let may_ping = quiet_ms > 0 && is_http2 && (is_client || streams > 0);
        let mut ping_sent_ms = ping_sent_ms;
        if may_ping && ping_sent_ms == 0 && now_ms >= active_ms + quiet_ms {
            self.ping(slot);
            ping_sent_ms = now_ms;
        }
        let mut next = if is_http1 && streams > 0 { active_ms.max(now_ms) + body_timeout_ms } else { u64::MAX };
        let mut consider = |at_ms: u64| next = next.min(at_ms);
        if head_since_ms > 0 {
            consider(head_since_ms + header_timeout_ms);
        }
        if end_ms > 0 {
            consider(end_ms);
        }
        if drain_ms > 0 && !drained {
            consider(drain_ms);
        }
        if is_client {
            consider(active_ms.max(now_ms - 1) + idle_timeout_ms);
        }
        if ping_sent_ms > 0 {
            consider(ping_sent_ms + answer_ms);
        } else if may_ping {
            consider(active_ms + quiet_ms);
        } else if !is_client && quiet_ms > 0 {
            consider(now_ms + quiet_ms);
        }
        if next != u64::MAX {
            self.arm_connection(slot, next.max(now_ms + 1));
        }
    }

    /// A head, or a handshake, that does not end.
    fn head_overdue(&mut self, slot: u32) {
        let Some(connection) = self.connections.get(slot) else { return };
        match &connection.protocol {
            Protocol::Http2(_) => {
                let slow = crate::http2::ConnectionError::new(ErrorCode::ENHANCE_YOUR_CALM, "a header block too slow");
                self.end_connection(slot, slow, Counter::HeadTimeouts);
            }
            Protocol::Http1(_) => {
                self.count(Counter::HeadTimeouts);
                let exchange = self.open_bare_exchange(slot, 0, false, false);
                self.answer(exchange, answer::HEAD_TIMEOUT);
            }
            Protocol::Unknown => {
                self.count(Counter::HeadTimeouts);
                self.close_connection(slot);
            }
        }
    }

    fn ping(&mut self, slot: u32) {
        let now_ms = self.clock.now_ms;
        let Some(connection) = self.connections.get(slot) else { return };
        if let Some(http2) = connection.http2() {
            http2.ping(now_ms.to_be_bytes());
            connection.ping_sent_ms = now_ms;
            self.mark(slot);
        }
    }

    pub(super) fn ping_answered(&mut self, slot: u32) {
        let pool = self.pool_of(slot).and_then(|pool| self.pools.get(pool as usize));
        let quiet_ms = pool.map_or(self.snapshot.limits.keepalive_time_ms, |pool| pool.backend.keepalive_time_ms);
        if let Some(connection) = self.connections.get(slot) {
            connection.ping_sent_ms = 0;
        }
        if quiet_ms > 0 {
            self.arm_connection(slot, self.clock.now_ms + quiet_ms);
        }
    }

    /// Both steps of a graceful end: announce it, and a second later, when the peer has surely heard, name the last stream.
    pub(super) fn drain_connection(&mut self, slot: u32) {
        let now_ms = self.clock.now_ms;
        let Some(connection) = self.connections.get(slot) else { return };
        if connection.drained || connection.stage != Stage::Open || !connection.is_client() {
            return;
        }
        let announced = connection.drain_ms > 0 && connection.drain_ms <= now_ms && connection.drain_announced;
        let http2 = match &mut connection.protocol {
            Protocol::Http2(http2) => http2,
            Protocol::Http1(http1) => {
                // The next answer says `Connection: close`; who asks nothing more is left alone for a second.
                if let Some(reply) = &mut http1.reply {
                    reply.keep_alive = false;
                }
                let idle = http1.exchange.is_none() && connection.input.is_empty();
                connection.drained = announced;
                connection.drain_announced = true;
                connection.drain_ms = now_ms + 1_000;
                if announced && idle {
                    self.close_after_flush(slot);
                } else if !announced {
                    self.arm_connection(slot, now_ms + 1_000);
                }
                return;
            }
            // Its first request may be on its way.
            Protocol::Unknown => {
                connection.drain_ms = now_ms + UNKNOWN_RETRY_MS;
                self.arm_connection(slot, now_ms + UNKNOWN_RETRY_MS);
                return;
            }
        };
        if announced {
            http2.goaway(ErrorCode::NO_ERROR, "");
            let idle = http2.stream_count() == 0;
            connection.drained = true;
            self.mark(slot);
            if idle {
                self.close_after_flush(slot);
            }
            return;
        }
        http2.announce_goaway();
        connection.drain_announced = true;
        connection.drain_ms = now_ms + 1_000;
        self.mark(slot);
        self.arm_connection(slot, now_ms + 1_000);
    }

    /// Every client is asked to go.
    pub(super) fn close_connections(&mut self) {
        self.closing = true;
        for slot in self.connections.keys() {
            self.drain_connection(slot);
        }
    }

    fn refresh_date(&mut self) {
        if self.own.date_unix != self.clock.unix {
            self.own.date_unix = self.clock.unix;
            let now = std::time::UNIX_EPOCH + std::time::Duration::from_secs(self.clock.unix);
            self.own.date = Rc::clone(&self.dictionary.field(b"date", httpdate::fmt_http_date(now).as_bytes()));
        }
    }
}
