//! Endings: of exchanges, by either side or by us, and of connections.

use super::connection::{Protocol, Side, Stage};
use super::exchange::{CLIENT, Half, NONE, UPSTREAM};
use super::{Key, Worker, answer};
use crate::bytes::wheel::Armed;
use crate::http2::{ConnectionError, Ended, ErrorCode};
use crate::observe::counters::Counter;
use crate::upstream::retry::Failure;
use std::sync::atomic::Ordering::Relaxed;

/// How long a connection rests that refused a stream.
const REFUSED_REST_MS: u64 = 20;

impl Worker {
    /// The client has the whole answer. What it still had to send is not wanted any more.
    #[inline]
    pub(super) fn complete(&mut self, slot: u32) {
        let exchange = &self.exchanges[slot];
        if !exchange.live {
            return;
        }
        let client = exchange.sides[CLIENT];
        if client.ended {
            self.release(slot, Ended::Complete, ErrorCode::NO_ERROR);
            return;
        }
        if let Some(http2) = self.connections.get(client.connection).and_then(|connection| connection.http2())
            && !client.ends_soon()
        {
            http2.reset_stream(client.stream, ErrorCode::NO_ERROR);
        }
        self.mark(client.connection);
        self.release(slot, client.left(), ErrorCode::CANCEL);
    }

    /// Gives everything of an exchange back. `code` is what the backend is told if its stream is still open.
    #[inline]
    fn release(&mut self, slot: u32, ended: Ended, code: ErrorCode) {
        let exchange = &mut self.exchanges[slot];
        let [client, upstream] = exchange.sides;
        let upstream_done = upstream.ended && client.ended;
        let has_pending = exchange.pending[CLIENT].is_some() || exchange.pending[UPSTREAM].is_some();
        if has_pending {
            self.drop_pending(slot, CLIENT);
            self.drop_pending(slot, UPSTREAM);
        }
        self.record(slot);
        self.leave_client(client, ended);
        if upstream.connection != NONE {
            if upstream_done {
                self.forget_upstream_stream(upstream);
            } else {
                self.drop_upstream_stream(upstream, code);
            }
        }
        if let Some(head) = self.exchanges[slot].head.take() {
            self.reuse_head(head);
        }
        if let Some(transcoding) = self.exchanges[slot].transcoding.take() {
            self.shared.refund(transcoding.collected());
        }
        if let Some(tries) = self.exchanges[slot].tries.take() {
            self.end_tries(tries);
        }
        self.exchanges.release(slot);
        self.close_if_drained(client.connection);
    }

    /// The client's connection forgets the stream.
    #[inline]
    fn leave_client(&mut self, client: Half, ended: Ended) {
        let Some(connection) = self.connections.get(client.connection) else { return };
        match &mut connection.protocol {
            Protocol::Http2(http2) => http2.remove_stream(client.stream, ended),
            Protocol::Http1(http1) => {
                let another = http1.finish() && !matches!(ended, Ended::LeftByUs { .. });
                connection.active_ms = self.clock.now_ms;
                let waiting = !connection.input.is_empty();
                if !another {
                    self.close_after_flush(client.connection);
                } else if waiting {
                    self.again.push(client.connection);
                }
            }
            Protocol::Unknown => {}
        }
    }

    /// Resets an upstream stream that is not over.
    pub(super) fn drop_upstream_stream(&mut self, half: Half, code: ErrorCode) {
        if half.connection == NONE {
            return;
        }
        if let Some(http2) = self.connections.get(half.connection).and_then(|connection| connection.http2()) {
            http2.reset_stream(half.stream, code);
            self.mark(half.connection);
        }
        self.forget_upstream_stream(half);
    }

    #[inline]
    pub(super) fn forget_upstream_stream(&mut self, half: Half) {
        let Some(connection) = self.connections.get(half.connection) else { return };
        let Side::Upstream { pool, .. } = connection.side else { return };
        let mut left = 0;
        if let Some(http2) = connection.http2() {
            left = http2.stream_count();
            http2.remove_stream(half.stream, Ended::Complete);
            left -= http2.stream_count();
        }
        self.pools[pool as usize].closed(left);
        if !self.pools[pool as usize].queue.is_empty() {
            self.drain_queue(pool);
        }
        if self.is_idle_upstream(half.connection) {
            self.close_connection(half.connection);
        }
    }

    pub(super) fn drop_pending(&mut self, slot: u32, side: usize) {
        if let Some(pending) = self.exchanges[slot].pending[side].take() {
            self.shared.refund(pending.left());
        }
    }

    /// Resets the client's stream and ends the exchange.
    pub(super) fn reset_client(&mut self, slot: u32, code: ErrorCode) {
        let half = self.exchanges[slot].sides[CLIENT];
        if let Some(http2) = self.connections.get(half.connection).and_then(|connection| connection.http2()) {
            http2.reset_stream(half.stream, code);
        }
        self.mark(half.connection);
        self.release(slot, half.left(), ErrorCode::CANCEL);
    }

    /// RST_STREAM from one side.
    pub(super) fn peer_reset(&mut self, side: usize, slot: u32, code: ErrorCode) {
        if side == CLIENT {
            let exchange = &mut self.exchanges[slot];
            exchange.reason = "client-cancelled";
            if exchange.grpc_status == u8::MAX {
                exchange.grpc_status = 1;
            }
            self.release(slot, Ended::ResetByPeer, ErrorCode::CANCEL);
            return;
        }
        let exchange = &mut self.exchanges[slot];
        let half = std::mem::replace(&mut exchange.sides[UPSTREAM], Half::ABSENT);
        exchange.sides[UPSTREAM].headed = half.headed;
        exchange.sides[UPSTREAM].ended = half.ended;
        if code == ErrorCode::REFUSED_STREAM {
            self.rest_after_refusal(half.connection);
        }
        self.forget_upstream_stream(half);
        if half.ended {
            // Its response is whole; it only wants no more of the request.
            return;
        }
        if self.lose_hedge(slot) {
            return;
        }
        if code != ErrorCode::REFUSED_STREAM {
            if !half.headed && self.retry(slot, Failure::Reset) {
                return;
            }
        } else if self.take_over(slot) {
            return;
        } else if self.may_retry(slot, Failure::RefusedStream).is_some() {
            self.dispatch_refused(slot);
            return;
        }
        let with = if half.headed { answer::UPSTREAM_INTERNAL } else { answer::UPSTREAM_RESET };
        self.fail(slot, with);
    }

    /// The connection gets no new streams for a moment, and all to its endpoint fewer for a while.
    fn rest_after_refusal(&mut self, slot: u32) {
        let now_ms = self.clock.now_ms;
        let Some(connection) = self.connections.get(slot) else { return };
        let Side::Upstream { pool, endpoint } = connection.side else { return };
        connection.refused_until_ms = now_ms + REFUSED_REST_MS;
        let others = connection.stream_count().saturating_sub(1);
        self.pools[pool as usize].endpoints[endpoint as usize].refused(others as u32, now_ms);
        self.wheel.arm(&mut Armed::default(), Key::Pool(pool), now_ms + REFUSED_REST_MS);
    }

    /// A peer broke a rule on one stream.
    pub(super) fn stream_error(
        &mut self,
        connection: u32,
        side: usize,
        stream: u32,
        slot: u32,
        code: ErrorCode,
    ) -> Result<(), ConnectionError> {
        let now_ms = self.clock.now_ms;
        let mut result = Ok(());
        if let Some(http2) = self.connections.get(connection).and_then(|connection| connection.http2()) {
            result = http2.reset_offender(stream, code, now_ms);
        }
        self.mark(connection);
        if side == CLIENT {
            self.count(Counter::StreamErrors);
            self.exchanges[slot].reason = "client-protocol-error";
            let ended = self.exchanges[slot].sides[CLIENT].left();
            self.release(slot, ended, ErrorCode::CANCEL);
        } else {
            let half = std::mem::replace(&mut self.exchanges[slot].sides[UPSTREAM], Half::ABSENT);
            self.exchanges[slot].sides[UPSTREAM].headed = half.headed;
            self.forget_upstream_stream(half);
            if !self.lose_hedge(slot) && (half.headed || !self.take_over(slot)) {
                self.fail(slot, answer::BAD_RESPONSE);
            }
        }
        result
    }

    /// GOAWAY: streams above `last` were not looked at and may go elsewhere.
    pub(super) fn goaway_received(&mut self, slot: u32, last: u32) {
        let Some(connection) = self.connections.get(slot) else { return };
        let Side::Upstream { pool, endpoint } = connection.side else { return };
        let Some(http2) = connection.http2() else { return };
        let lost: Vec<u32> = http2.streams().filter(|&(stream, _)| stream > last).map(|(_, slot)| slot).collect();
        self.pools[pool as usize].endpoints[endpoint as usize].connections.retain(|&held| held != slot);
        self.lost(pool, endpoint);
        for exchange in lost {
            let half = std::mem::replace(&mut self.exchanges[exchange].sides[UPSTREAM], Half::ABSENT);
            self.forget_upstream_stream(half);
            if !self.lose_hedge(exchange) && !self.retry(exchange, Failure::RefusedStream) {
                self.fail(exchange, answer::UPSTREAM_CLOSED);
            }
        }
        if self.is_idle_upstream(slot) {
            self.close_connection(slot);
        }
    }

    /// End of the peer's bytes, or an error of the socket.
    pub(super) fn peer_closed(&mut self, slot: u32) {
        self.close_connection(slot);
    }

    /// A rule of the connection was broken: say so, then close.
    pub(super) fn fail_connection(&mut self, slot: u32, error: ConnectionError) {
        let flood = error.code == ErrorCode::ENHANCE_YOUR_CALM;
        self.end_connection(slot, error, if flood { Counter::Floods } else { Counter::ProtocolErrors });
    }

    /// Says why a connection ends, then closes it. `offence`: what a client is counted under.
    pub(super) fn end_connection(&mut self, slot: u32, error: ConnectionError, offence: Counter) {
        let Some(connection) = self.connections.get(slot) else { return };
        if connection.stage == Stage::Closing {
            return;
        }
        let is_client = connection.is_client();
        if is_client {
            self.mailbox.stats.counters.add(offence, 1);
        }
        if let Some(http2) = connection.http2() {
            http2.goaway(error.code, error.reason);
        }
        if !is_client {
            self.count(Counter::UpstreamProtocolErrors);
            self.make_room(slot);
            self.close_connection(slot);
            return;
        }
        self.abandon_streams(slot);
        self.close_after_flush(slot);
    }

    /// Closes a client's connection when what was said to it has been written.
    pub(super) fn close_after_flush(&mut self, slot: u32) {
        let now_ms = self.clock.now_ms;
        if let Some(connection) = self.connections.get(slot) {
            connection.stage = Stage::Closing;
            connection.end_ms = now_ms + 1_000;
        }
        self.arm_connection(slot, now_ms + 1_000);
        self.mark(slot);
    }

    /// Ends what runs on a client's connection.
    fn abandon_streams(&mut self, slot: u32) {
        let Some(connection) = self.connections.get(slot) else { return };
        for exchange in connection.exchanges() {
            if self.exchanges[exchange].reason.is_empty() {
                self.exchanges[exchange].reason = "client-closed";
            }
            self.release(exchange, Ended::ResetByPeer, ErrorCode::CANCEL);
        }
    }

    /// Closes a socket and ends what ran over it.
    pub(super) fn close_connection(&mut self, slot: u32) {
        if !self.is_upstream(slot) {
            self.abandon_streams(slot);
            if let Some(mut connection) = self.connections.remove(slot) {
                let _ = self.poll.registry().deregister(connection.transport.stream_mut());
                self.mailbox.clients.fetch_sub(1, Relaxed);
                self.count(Counter::ClientConnectionsClosed);
            }
            return;
        }
        let Some(mut connection) = self.connections.remove(slot) else { return };
        let _ = self.poll.registry().deregister(connection.transport.stream_mut());
        connection.place = None;
        let streams = connection.exchanges();
        if connection.ready {
            self.count(Counter::UpstreamConnectionsClosed);
        }
        if let Side::Upstream { pool, .. } = connection.side {
            self.pools[pool as usize].closed(streams.len());
        }
        self.leave_pool(slot, connection.side, connection.ready);
        for exchange in streams {
            let half = &mut self.exchanges[exchange].sides[UPSTREAM];
            let (headed, ended) = (half.headed, half.ended);
            *half = Half { headed, ended, ..Half::ABSENT };
            if ended || self.lose_hedge(exchange) || (!headed && self.retry(exchange, Failure::Reset)) {
                continue;
            }
            self.fail(exchange, answer::UPSTREAM_CLOSED);
        }
        if let Side::Upstream { pool, .. } = connection.side {
            self.drain_queue(pool);
        }
    }

    /// The pool that a connection belongs to.
    pub(super) fn pool_of(&self, slot: u32) -> Option<u32> {
        match self.connections.peek(slot)?.side {
            Side::Upstream { pool, .. } => Some(pool),
            Side::Client => None,
        }
    }

    /// A client's connection that was told to go away ends with its last stream.
    #[inline]
    fn close_if_drained(&mut self, slot: u32) {
        let Some(connection) = self.connections.get(slot) else { return };
        if connection.drained && connection.stage == Stage::Open && connection.stream_count() == 0 {
            self.close_after_flush(slot);
        }
    }
}
