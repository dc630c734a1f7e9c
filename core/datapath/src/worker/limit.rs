//! Admission: the rate limits of a request's route and method, and room among its backend's calls.
//!
//! A call has room from where it is sent on to its response's header fields: a stream that has begun to answer says nothing
//! about how busy its server is. Streaming methods that the descriptors know are let in uncounted, and a call that was not
//! answered for ten seconds, and is not known to be unary, is taken for a stream as well.

use super::answer::{self, Answer};
use super::exchange::CLIENT;
use super::facts::Facts;
use super::inspect::trusted_address;
use super::memo::Found;
use super::view::View;
use super::{Key, Worker};
use crate::admission::buckets;
use crate::admission::gradient::Finished;
use crate::admission::rate_limit::{Applied, Of, RateLimit, charge_all};
use crate::authenticate::cache::Caller;
use crate::authenticate::extract::RequestView;
use crate::http2::hpack::HeaderList;
use crate::snapshot::Snapshot;
use std::net::IpAddr;

/// Without an answer for so long a call may be a stream.
const QUIET_MS: u64 = 10_000;
/// A client's own timer may fire so long before ours.
const EARLY_MS: u64 = 50;
/// Calls of a backend that are reported together.
const MOST_FINISHED: usize = 1_000;

impl Worker {
    /// Charges a request to the rate limits of its route and method.
    #[inline(never)]
    pub(super) fn charge(
        &mut self,
        slot: u32,
        snapshot: &Snapshot,
        facts: &Facts,
        found: Found,
        caller: Option<&Caller>,
        list: &HeaderList,
    ) -> Result<(), Answer> {
        let view = View { dictionary: &self.dictionary, list, query: None };
        let key = |applied: &Applied| match &applied.of {
            Of::Everybody => applied.limit.key(None),
            Of::Claim(number) => {
                let keys = caller.map_or(&[][..], |caller| &caller.limit_keys);
                applied.limit.key(keys.get(*number).and_then(Option::as_deref))
            }
            Of::Header(name) => by_header(&applied.limit, &view, name),
            Of::Source => by_address(&applied.limit, self.source(slot, snapshot, facts, list)),
        };
        let charged = charge_all(snapshot.limits(found.method, found.route), key, self.clock.now_ns);
        charged.map_err(|refusal| {
            let answer = answer::rate_limited(&refusal.limit, refusal.wait_ns, facts.grpc);
            self.exchanges[slot].limit = Some(refusal.limit);
            answer
        })
    }

    /// The client's address, as the access log has it.
    fn source<'a>(&'a self, slot: u32, snapshot: &Snapshot, facts: &Facts, list: &'a HeaderList) -> &'a [u8] {
        let connection = self.exchanges[slot].sides[CLIENT].connection;
        let peer = self.connections.peek(connection).map_or(&b""[..], |client| client.peer_address.as_bytes());
        match (snapshot.xff_trusted_hops, facts.forwarded_for.get()) {
            (0, _) | (_, None) => peer,
            (hops, Some(at)) => trusted_address(list.value(&self.dictionary, at), hops - 1),
        }
    }

    /// Sends a request on its way to its backend, if that has room for another call.
    #[inline]
    pub(super) fn enter(&mut self, slot: u32) {
        let pool = self.pools.get(self.exchanges[slot].pool as usize);
        if pool.is_some_and(|pool| pool.limiter.is_some()) && !self.has_room(slot) {
            return;
        }
        self.dispatch(slot);
    }

    #[inline(never)]
    fn has_room(&mut self, slot: u32) -> bool {
        let streams = self.streams(slot);
        let at = self.exchanges[slot].pool;
        let pool = &mut self.pools[at as usize];
        let Some(limiter) = pool.limiter.as_ref().filter(|_| streams != Some(true)) else { return true };
        if pool.finished.is_empty() && pool.peak == 0 {
            self.reporting.push(at);
        }
        let entered = limiter.enter();
        pool.peak = pool.peak.max(entered.unwrap_or_else(|limit| limit));
        if entered.is_err() {
            let answer = answer::overloaded(self.next_random(), self.exchanges[slot].grpc);
            self.answer(slot, answer);
            return false;
        }
        let exchange = &mut self.exchanges[slot];
        exchange.entered_ns = self.clock.now_ns;
        if streams.is_none() {
            self.wheel.arm(&mut exchange.armed, Key::Exchange(slot), self.clock.now_ms + QUIET_MS);
        }
        true
    }

    /// Whether its method is a streaming one; `None`: the descriptors do not know it.
    fn streams(&self, slot: u32) -> Option<bool> {
        let method = self.exchanges[slot].method.checked_sub(1)?;
        let descriptor = self.snapshot.table.methods().get(method as usize)?.descriptor.as_ref()?;
        Some(descriptor.is_client_streaming() || descriptor.is_server_streaming())
    }

    /// The response's header fields are there. An error says nothing about how long work takes.
    #[cold]
    pub(super) fn leave_answered(&mut self, slot: u32) {
        let exchange = &self.exchanges[slot];
        let good = exchange.status < 500 && matches!(exchange.grpc_status, 0 | u8::MAX);
        self.leave(slot, good.then_some(true));
    }

    /// It ends without a response. Only where its deadline ended it that says something.
    #[cold]
    pub(super) fn leave_unanswered(&mut self, slot: u32) {
        let deadline_ms = self.exchanges[slot].deadline_ms;
        let expired = deadline_ms > 0 && self.clock.now_ms + EARLY_MS >= deadline_ms;
        self.leave(slot, expired.then_some(false));
    }

    /// When it is to be asked again whether the call is a stream; `u64::MAX`: never.
    pub(super) fn leave_if_quiet(&mut self, slot: u32) -> u64 {
        let entered_ns = self.exchanges[slot].entered_ns;
        if entered_ns == 0 || self.streams(slot).is_some() {
            return u64::MAX;
        }
        let at_ms = entered_ns / 1_000_000 + QUIET_MS;
        if self.clock.now_ms < at_ms {
            return at_ms;
        }
        self.leave(slot, None);
        u64::MAX
    }

    fn leave(&mut self, slot: u32, answered: Option<bool>) {
        let exchange = &mut self.exchanges[slot];
        let took_ns = self.clock.now_ns.saturating_sub(std::mem::take(&mut exchange.entered_ns));
        let at = exchange.pool;
        let Some(pool) = self.pools.get_mut(at as usize) else { return };
        let Some(limiter) = &pool.limiter else { return };
        limiter.leave();
        let Some(answered) = answered else { return };
        if pool.finished.is_empty() && pool.peak == 0 {
            self.reporting.push(at);
        }
        pool.finished.push(Finished { took_ns, answered });
        if pool.finished.len() >= MOST_FINISHED {
            self.report_calls();
        }
    }

    /// Tells the limiters of this turn's calls.
    #[inline]
    pub(super) fn report_calls(&mut self) {
        while let Some(at) = self.reporting.pop() {
            let pool = &mut self.pools[at as usize];
            if let Some(limiter) = &pool.limiter {
                limiter.report(self.clock.now_ns, &pool.finished, pool.peak);
            }
            pool.finished.clear();
            pool.peak = 0;
        }
    }

    /// For a worker that is lost with its calls.
    pub(super) fn leave_all(&self) {
        for pool in self.exchanges.entered() {
            if let Some(limiter) = self.pools.get(pool as usize).and_then(|pool| pool.limiter.as_ref()) {
                limiter.leave();
            }
        }
    }
}

/// Several fields of the name are one key together.
fn by_header(limit: &RateLimit, view: &View<'_>, name: &str) -> buckets::Key {
    let (mut first, mut more) = (None, Vec::new());
    view.headers(name, &mut |value| match first {
        None => first = Some(value),
        Some(_) => more.extend_from_slice(&[b"\0", value].concat()),
    });
    match first {
        Some(first) if !more.is_empty() => limit.key(Some(&[first, &more].concat())),
        first => limit.key(first),
    }
}

/// Who has an IPv6 network has at least its last 64 bits to choose from (RFC 6177).
fn by_address(limit: &RateLimit, text: &[u8]) -> buckets::Key {
    match std::str::from_utf8(text).ok().and_then(|text| text.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical()) {
        Some(IpAddr::V4(address)) => limit.key(Some(&address.octets())),
        Some(IpAddr::V6(address)) => limit.key(Some(&address.octets()[..8])),
        None => limit.key(Some(text)),
    }
}
