//! Sending a request again: by its policy, within the budget, to another endpoint where there is one.
//!
//! `upstream::retry` decides; here is what has to be so that it can: everything that was sent is still there, the client
//! has seen nothing, and the exchange has left the stream of the attempt before.
//!
//! A connection that dies takes many requests with it in one moment. Those wait for room in the budget, for a few back-offs,
//! instead of failing: the budget says how many are under way a second time at once, not how many ever are. A status is
//! different, it is the server's own word about its load: over the budget it goes to the client.

use super::exchange::{CLIENT, Half, NONE, Pending, Phase, UPSTREAM};
use super::tries::Tries;
use super::{Key, Worker, answer};
use crate::http2::ErrorCode;
use crate::http2::hpack::HeaderList;
use crate::observe::counters::Counter;
use crate::observe::series::Code;
use crate::snapshot::Snapshot;
use crate::upstream::retry::{Again, Condition, Failure, Policy, Pushback};
use crate::upstream::{Ending, Kind, Refused, limit};
use std::sync::Arc;

/// Looks for room in the budget, and for another endpoint that is being connected to, before the best that there is.
const MOST_LOOKS: u32 = 20;
const MOST_LOOKS_FOR_OTHERS: u32 = 4;
/// Between two looks for a connection that is being made.
const LOOK_AGAIN_MS: u64 = 10;
/// Emptied boxes that are kept for the next requests.
const SPARE_TRIES: usize = 1024;
/// How often the request was sent before (gRFC A6).
const PREVIOUS_ATTEMPTS: &[u8] = b"grpc-previous-rpc-attempts";
const PUSHBACK: &[u8] = b"grpc-retry-pushback-ms";

impl Worker {
    /// Watches over the attempts of a request where its method, its route or its backend wants that.
    #[inline]
    pub(super) fn watch_if_asked(
        &mut self,
        slot: u32,
        snapshot: &Snapshot,
        method: Option<u32>,
        route: Option<u32>,
        backend: u32,
    ) {
        if let Some(policy) = snapshot.retries.as_ref().and_then(|retries| retries.of(method, route, backend)) {
            self.watch(slot, policy);
        }
    }

    fn watch(&mut self, slot: u32, policy: &Arc<Policy>) {
        let fresh = Tries::new(policy.clone());
        let kept = self.exchanges[slot].tries.take().or_else(|| self.spare_tries.pop());
        self.exchanges[slot].tries = Some(match kept {
            Some(mut tries) => {
                *tries = fresh;
                tries
            }
            None => Box::new(fresh),
        });
    }

    /// The exchange is over.
    pub(super) fn end_tries(&mut self, mut tries: Box<Tries>) {
        if tries.hedge != NONE {
            self.abandon_hedge(tries.hedge);
        }
        (tries.request, tries.again) = (None, None);
        if self.spare_tries.len() < SPARE_TRIES {
            self.spare_tries.push(tries);
        }
    }

    /// No attempt will follow, and none is under way.
    pub(super) fn settle_tries(&mut self, slot: u32) {
        self.drop_hedge(slot);
        if let Some(tries) = &mut self.exchanges[slot].tries {
            tries.settle();
            (tries.request, tries.again) = (None, None);
        }
    }

    /// Counts the request among its backend's; false: there are too many, and it was answered.
    pub(super) fn take_request(&mut self, slot: u32, pool: u32) -> bool {
        let chosen = &self.pools[pool as usize];
        let Some(tries) = &mut self.exchanges[slot].tries else { return true };
        tries.request = chosen.breakers.take(Kind::Requests, limit(chosen.backend.breakers.max_requests));
        let entered = tries.request.is_some();
        if !entered {
            self.count(Counter::BreakerRequests);
            self.answer(slot, answer::TOO_MANY_REQUESTS);
        }
        entered
    }

    /// The request has been sent to an endpoint.
    pub(super) fn attempt_begun(&mut self, slot: u32) {
        let now_ms = self.clock.now_ms;
        let exchange = &mut self.exchanges[slot];
        let Some(tries) = &mut exchange.tries else { return };
        let may_hedge = exchange.attempts < tries.policy.attempts;
        tries.begin(exchange.endpoint, may_hedge, now_ms);
        let next_ms = tries.next_ms();
        if next_ms != u64::MAX {
            self.wheel.arm(&mut exchange.armed, Key::Exchange(slot), next_ms);
        }
    }

    /// Sends the request again if that is safe, allowed and possible. The exchange must have left its stream.
    pub(super) fn retry(&mut self, slot: u32, failure: Failure) -> bool {
        if self.take_over(slot) {
            return true;
        }
        let Some(again) = self.may_retry(slot, failure) else { return false };
        self.go_again(slot, again);
        true
    }

    /// Makes the request ready to be sent again, if that is safe, allowed and possible.
    pub(super) fn may_retry(&mut self, slot: u32, failure: Failure) -> Option<Again> {
        let again = self.decide(slot, failure, Pushback::Silent)?;
        self.make_ready(slot, again).then_some(again)
    }

    fn decide(&mut self, slot: u32, failure: Failure, pushback: Pushback) -> Option<Again> {
        let random = self.next_random();
        let exchange = &mut self.exchanges[slot];
        let pool = self.pools.get(exchange.pool as usize)?;
        if !exchange.head.as_ref()?.replayable {
            return None;
        }
        let policy = exchange.tries.as_ref().map_or(&pool.backend.retry, |tries| &tries.policy);
        let mut again = policy.decide(failure, exchange.attempts, pushback, random)?;
        if exchange.deadline_ms > 0 && self.clock.now_ms + again.delay_ms >= exchange.deadline_ms {
            return None;
        }
        if again.condition.is_transparent() {
            return Some(again);
        }
        // Without: the policy came with a snapshot that the request does not know.
        exchange.tries.as_ref()?;
        if !self.take_retry(slot) {
            if again.condition != Condition::Reset {
                return None;
            }
            again.delay_ms = again.delay_ms.max(LOOK_AGAIN_MS);
        }
        Some(again)
    }

    /// A place in the budget; false: there is none now.
    pub(super) fn take_retry(&mut self, slot: u32) -> bool {
        let exchange = &mut self.exchanges[slot];
        let (Some(pool), Some(tries)) = (self.pools.get(exchange.pool as usize), &mut exchange.tries) else {
            return false;
        };
        if tries.again.is_some() {
            return true;
        }
        match pool.breakers.take_retry(&pool.backend.breakers) {
            Ok(place) => tries.again = Some(place),
            Err(Refused::Budget) => self.count(Counter::RetryBudgetExhausted),
            Err(Refused::MaxRetries) => self.count(Counter::BreakerRetries),
        }
        self.exchanges[slot].tries.as_ref().is_some_and(|tries| tries.again.is_some())
    }

    /// Puts the whole request where it is taken from; false: there is no room for that.
    fn make_ready(&mut self, slot: u32, again: Again) -> bool {
        let exchange = &mut self.exchanges[slot];
        let Some(head) = &exchange.head else { return false };
        let body = head.body.clone();
        let end = exchange.sides[CLIENT].ended;
        let unsent = exchange.pending[UPSTREAM].as_ref().map_or(0, |pending| pending.left());
        self.drop_pending(slot, UPSTREAM);
        if !body.is_empty() {
            if !self.shared.charge(body.len(), self.snapshot.limits.max_buffer_bytes) {
                return false;
            }
            let credited = body.len() - unsent;
            let pending = Pending { data: body, position: 0, credited, end, trailers: None };
            self.exchanges[slot].pending[UPSTREAM] = Some(Box::new(pending));
        }
        self.exchanges[slot].attempts += 1;
        self.count(match again.condition {
            Condition::ConnectFailure => Counter::RetriesConnect,
            Condition::RefusedStream => Counter::RetriesRefused,
            Condition::Reset => Counter::RetriesReset,
            Condition::PerTryTimeout => Counter::RetriesPerTryTimeout,
            Condition::GatewayError => Counter::RetriesGatewayError,
            Condition::HttpStatus => Counter::RetriesHttpStatus,
            Condition::GrpcStatus => Counter::RetriesGrpcStatus,
        });
        if !again.condition.is_transparent() {
            self.count_attempt(slot);
        }
        true
    }

    /// Tells the server that others may have acted on the request before.
    pub(super) fn count_attempt(&mut self, slot: u32) {
        let exchange = &mut self.exchanges[slot];
        let Some(head) = exchange.head.as_mut().filter(|_| exchange.grpc || exchange.transcoding.is_some()) else {
            return;
        };
        let at = head.list.find(&self.dictionary, PREVIOUS_ATTEMPTS);
        let before = at.and_then(|at| std::str::from_utf8(head.list.value(&self.dictionary, at)).ok()?.parse().ok());
        let now = u32::saturating_add(before.unwrap_or(0), 1).to_string();
        match at {
            Some(at) => head.list.set_value(&self.dictionary, at, now.as_bytes()),
            None => {
                head.list.push(PREVIOUS_ATTEMPTS, now.as_bytes());
            }
        }
    }

    /// Sends a request again that is ready: at once, or after its back-off.
    fn go_again(&mut self, slot: u32, again: Again) {
        if again.condition.is_transparent() {
            self.dispatch(slot);
            return;
        }
        let exchange = &self.exchanges[slot];
        let (pool, endpoint) = (exchange.pool, exchange.endpoint);
        if matches!(again.condition, Condition::Reset | Condition::PerTryTimeout) {
            self.note(pool, endpoint, Ending::Failed);
        }
        self.exchanges[slot].phase = Phase::BackingOff;
        if again.delay_ms == 0 {
            self.try_again(slot);
            return;
        }
        self.other_is_coming(slot);
        self.back_off(slot, again.delay_ms);
    }

    fn back_off(&mut self, slot: u32, delay_ms: u64) {
        let at_ms = self.clock.now_ms + delay_ms.max(1);
        let exchange = &mut self.exchanges[slot];
        if let Some(tries) = &mut exchange.tries {
            tries.settle();
            tries.due_ms = at_ms;
            self.wheel.arm(&mut exchange.armed, Key::Exchange(slot), at_ms);
        }
    }

    /// A back-off has ended.
    fn try_again(&mut self, slot: u32) {
        let random = self.next_random();
        let exchange = &mut self.exchanges[slot];
        let Some(tries) = &mut exchange.tries else { return };
        tries.settle();
        tries.looks += 1;
        let (looks, waits) = (tries.looks, tries.again.is_none());
        let delay_ms = tries.policy.back_off(looks, random).max(LOOK_AGAIN_MS);
        if waits && !self.take_retry(slot) {
            match looks < MOST_LOOKS {
                true => self.back_off(slot, delay_ms),
                false => self.fail(slot, answer::UPSTREAM_CLOSED),
            }
        } else if looks < MOST_LOOKS_FOR_OTHERS && self.other_is_coming(slot) {
            self.back_off(slot, LOOK_AGAIN_MS);
        } else {
            self.dispatch(slot);
        }
    }

    /// The time of an attempt has come: to end it, to hedge it, or to begin the next. A request that is still on its way
    /// from the client has its time from then on, as in Envoy.
    pub(super) fn tries_due(&mut self, slot: u32) {
        let now_ms = self.clock.now_ms;
        let exchange = &mut self.exchanges[slot];
        let Some(tries) = &mut exchange.tries else { return };
        match exchange.phase {
            Phase::BackingOff => self.try_again(slot),
            Phase::Joined if !exchange.sides[CLIENT].ended => tries.restart(now_ms),
            Phase::Joined if !exchange.sides[UPSTREAM].headed => {
                if tries.due_ms > 0 && now_ms >= tries.due_ms {
                    self.end_attempt(slot);
                } else {
                    tries.hedge_ms = 0;
                    self.hedge(slot);
                }
            }
            _ => tries.settle(),
        }
    }

    /// An attempt has had its time.
    fn end_attempt(&mut self, slot: u32) {
        if let Some(tries) = &mut self.exchanges[slot].tries {
            tries.settle();
        }
        let half = std::mem::replace(&mut self.exchanges[slot].sides[UPSTREAM], Half::ABSENT);
        self.drop_upstream_stream(half, ErrorCode::CANCEL);
        if !self.retry(slot, Failure::PerTryTimeout) {
            self.fail(slot, answer::PER_TRY_TIMEOUT);
        }
    }

    /// Looks at response headers before they go to the client. True: they do not, another attempt has the request.
    pub(super) fn withhold(&mut self, slot: u32, end_stream: bool, http: u16, grpc: u8, list: &HeaderList) -> bool {
        let exchange = &mut self.exchanges[slot];
        let Some(tries) = &mut exchange.tries else { return false };
        let hedge = tries.hedge;
        tries.settle();
        let failure = Failure::Status { http, grpc: if end_stream { grpc } else { u8::MAX } };
        if tries.policy.condition(failure).is_none() {
            self.drop_hedge(slot);
            return false;
        }
        let mut again = None;
        if hedge == NONE {
            let pushback = list.find(&self.dictionary, PUSHBACK).map(|at| list.value(&self.dictionary, at));
            again = self.decide(slot, failure, Pushback::parse(pushback));
            if again.is_none() {
                return false;
            }
        }
        let exchange = &mut self.exchanges[slot];
        let half = std::mem::replace(&mut exchange.sides[UPSTREAM], Half::ABSENT);
        let whole = end_stream && exchange.sides[CLIENT].ended && exchange.pending[UPSTREAM].is_none();
        let (pool, endpoint) = (exchange.pool, exchange.endpoint);
        self.note(pool, endpoint, Ending::of(if grpc == u8::MAX { Code::Http(http) } else { Code::Grpc(grpc) }));
        match whole {
            true => self.forget_upstream_stream(half),
            false => self.drop_upstream_stream(half, ErrorCode::CANCEL),
        }
        if self.take_over(slot) {
            return true;
        }
        match again {
            Some(again) if self.make_ready(slot, again) => self.go_again(slot, again),
            _ => self.fail(slot, answer::BUFFER_FULL),
        }
        true
    }
}
