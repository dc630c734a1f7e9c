//! A second attempt beside the first: whichever has response headers first answers the client.
//!
//! A hedge is an entry of its own among the exchanges, with an upstream stream and without a client. So everything that
//! moves bytes knows nothing of it, and an exchange without a hedge carries none of its state. It ends in one of two ways:
//! its stream becomes that of the exchange that it was made for (it has answered first, or the first attempt has failed),
//! or it is reset. Only a request that is there whole is hedged, so that no data ever has to go two ways.

use super::exchange::{CLIENT, Half, NONE, Pending, Phase, UPSTREAM};
use super::response::ResponseFacts;
use super::{Key, Worker};
use crate::http2::ErrorCode;
use crate::http2::hpack::HeaderList;
use crate::observe::counters::Counter;
use crate::upstream::retry::Failure;

impl Worker {
    /// Sends the request to another endpoint too, if one is ready and the budget has room.
    pub(super) fn hedge(&mut self, slot: u32) {
        let exchange = &self.exchanges[slot];
        let pool = exchange.pool;
        let whole = exchange.sides[CLIENT].ended && exchange.head.as_ref().is_some_and(|head| head.replayable);
        if !whole || exchange.tries.as_ref().is_none_or(|tries| tries.hedge != NONE) {
            return;
        }
        let Some((endpoint, connection)) = self.pick_other(pool, slot) else { return };
        if !self.take_retry(slot) {
            return;
        }
        let body = self.exchanges[slot].head.as_ref().map_or_else(Vec::new, |head| head.body.clone());
        if !self.shared.charge(body.len(), self.snapshot.limits.max_buffer_bytes) {
            return;
        }
        let before = self.exchanges[slot].attempts;
        self.exchanges[slot].attempts += 1;
        self.shorten_timeout(slot);
        self.count_attempt(slot);
        let hedge = self.exchanges.open();
        let head = self.exchanges[slot].head.take();
        let entry = &mut self.exchanges[hedge];
        entry.sides = [Half { ended: true, ..Half::ABSENT }, Half::ABSENT];
        if !body.is_empty() {
            let credited = body.len();
            let pending = Pending { data: body, position: 0, credited, end: true, trailers: None };
            entry.pending[UPSTREAM] = Some(Box::new(pending));
        }
        (entry.pool, entry.hedge_of, entry.head) = (pool, slot, head);
        (entry.deadline_ms, entry.idle_timeout_ms) = (0, 0);
        self.join(hedge, endpoint, connection);
        let entry = &mut self.exchanges[hedge];
        entry.phase = Phase::Hedge;
        let (head, sent) = (entry.head.take(), entry.sides[UPSTREAM].connection != NONE);
        self.exchanges[slot].head = head;
        if !sent {
            self.exchanges[slot].attempts = before;
            self.close_hedge(hedge);
            return;
        }
        self.count(Counter::HedgesSent);
        if let Some(tries) = &mut self.exchanges[slot].tries {
            tries.hedge = hedge;
        }
    }

    /// The upstream stream of `slot` is gone: its hedge goes on in its place. False: it has none.
    pub(super) fn take_over(&mut self, slot: u32) -> bool {
        let now_ms = self.clock.now_ms;
        let exchange = &mut self.exchanges[slot];
        let Some(tries) = exchange.tries.as_mut().filter(|tries| tries.hedge != NONE) else { return false };
        let hedge = std::mem::replace(&mut tries.hedge, NONE);
        let entry = &mut self.exchanges[hedge];
        let half = std::mem::replace(&mut entry.sides[UPSTREAM], Half::ABSENT);
        let (pending, endpoint) = (entry.pending[UPSTREAM].take(), entry.endpoint);
        self.drop_pending(slot, UPSTREAM);
        let exchange = &mut self.exchanges[slot];
        exchange.sides[UPSTREAM] = half;
        exchange.pending[UPSTREAM] = pending;
        exchange.endpoint = endpoint;
        exchange.phase = Phase::Joined;
        if let Some(tries) = &mut exchange.tries {
            tries.begin(endpoint, false, now_ms);
            let next_ms = tries.next_ms();
            if next_ms != u64::MAX {
                self.wheel.arm(&mut exchange.armed, Key::Exchange(slot), next_ms);
            }
        }
        if let Some(http2) = self.connections.get(half.connection).and_then(|connection| connection.http2()) {
            http2.insert_stream(half.stream, slot);
        }
        self.close_hedge(hedge);
        self.pump(slot, UPSTREAM);
        true
    }

    /// Header fields on a hedge's stream.
    pub(super) fn hedge_response(&mut self, hedge: u32, end_stream: bool, list: &mut HeaderList) {
        let slot = self.exchanges[hedge].hedge_of;
        let failed = match ResponseFacts::read(self, list) {
            None => true,
            Some(facts) if facts.status < 200 => {
                if !end_stream {
                    return;
                }
                true
            }
            Some(facts) => {
                let grpc = if end_stream { facts.grpc_status } else { u8::MAX };
                let failure = Failure::Status { http: facts.status, grpc };
                self.exchanges[slot].tries.as_ref().is_none_or(|tries| tries.policy.condition(failure).is_some())
            }
        };
        if failed {
            // The first attempt may still do better.
            self.drop_hedge(slot);
            return;
        }
        let first = std::mem::replace(&mut self.exchanges[slot].sides[UPSTREAM], Half::ABSENT);
        self.drop_upstream_stream(first, ErrorCode::CANCEL);
        self.count(Counter::HedgesWon);
        if self.take_over(slot) {
            self.response(slot, end_stream, list);
        }
    }

    /// Resets the hedge of an exchange, if it has one.
    pub(super) fn drop_hedge(&mut self, slot: u32) {
        let Some(tries) = &mut self.exchanges[slot].tries else { return };
        let hedge = std::mem::replace(&mut tries.hedge, NONE);
        if hedge != NONE {
            self.abandon_hedge(hedge);
        }
    }

    pub(super) fn abandon_hedge(&mut self, hedge: u32) {
        let half = std::mem::replace(&mut self.exchanges[hedge].sides[UPSTREAM], Half::ABSENT);
        self.drop_upstream_stream(half, ErrorCode::CANCEL);
        self.close_hedge(hedge);
    }

    /// A hedge's stream has failed, and is gone. False: it is no hedge's.
    pub(super) fn lose_hedge(&mut self, hedge: u32) -> bool {
        let slot = self.exchanges[hedge].hedge_of;
        if slot == NONE {
            return false;
        }
        if let Some(tries) = &mut self.exchanges[slot].tries {
            tries.hedge = NONE;
        }
        self.close_hedge(hedge);
        true
    }

    fn close_hedge(&mut self, hedge: u32) {
        self.drop_pending(hedge, UPSTREAM);
        self.exchanges[hedge].hedge_of = NONE;
        self.exchanges.release(hedge);
    }
}
