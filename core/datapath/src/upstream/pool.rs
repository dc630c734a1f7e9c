//! The connections of one worker to one backend.
//!
//! Few connections are better than many: the requests of all clients share them, and each turn of the loop writes once
//! to each. Another one to the same endpoint is opened only when the peer's stream limit fills.
//!
//! A server may count a stream for longer than its peer does, grpcio until the application has let go of the call. It
//! refuses the stream that follows at once on one that has ended, and would refuse it again. So refusals lower the number
//! of streams that an endpoint's connections get, by one more than was refused; the number rises again with time.

use super::breakers::Breakers;
use super::queue::Queue;
use super::tally::{Tallies, Tally};
use crate::admission::gradient::Finished;
use crate::admission::limiter::Limiter;
use crate::balance::priority::WHOLE;
use crate::balance::slow_start::{PARTS, SlowStart};
use crate::balance::spread::{Health, Member, Spread};
use crate::bytes::hash::GOLDEN;
use crate::http2::hpack::Field;
use crate::snapshot::{self, Address, Backend};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

/// Back-off after failed connects: doubles from the first to the last.
const FIRST_BACKOFF_MS: u64 = 20;
const LAST_BACKOFF_MS: u64 = 250;
/// A limit that follows on refusals rises by a quarter in this time, and ends here.
const LIMIT_STEP_MS: u64 = 1_000;
const LIMIT_END: u32 = 1_000;
/// Of losses of endpoints one is told in this time.
const LOSS_STEP_MS: u64 = 100;

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: Address,
    /// 0: discovery reports it no longer; what runs there finishes.
    pub(crate) weight: u32,
    priority: u32,
    distance: u32,
    /// When it came, or began to serve again: from then on it is in its slow start. 0: it never was.
    since_ms: u64,
    pub(crate) health: Health,
    pub(crate) connections: Vec<u32>,
    /// Of them, those that are not connected yet.
    pub(crate) connecting: u32,
    /// All that are open, also those that take no more requests: as long as there is one, this is its endpoint.
    pub(crate) open: u32,
    failures: u32,
    not_before_ms: u64,
    pub(crate) tally: Arc<Tally>,
    /// Streams that each connection may get, beside the peer's own limit. `u32::MAX`: it has refused none.
    stream_limit: u32,
    limit_rises_ms: u64,
}

impl Endpoint {
    fn new(reported: &snapshot::Endpoint, tally: Arc<Tally>, since_ms: u64) -> Self {
        Endpoint {
            address: reported.address.clone(),
            weight: reported.weight,
            priority: reported.priority,
            distance: reported.distance,
            since_ms,
            health: Health::Unknown,
            connections: Vec::new(),
            connecting: 0,
            open: 0,
            failures: 0,
            not_before_ms: 0,
            tally,
            stream_limit: u32::MAX,
            limit_rises_ms: 0,
        }
    }

    pub(crate) fn priority(&self) -> u32 {
        self.priority
    }
    pub(crate) fn distance(&self) -> u32 {
        self.distance
    }

    /// How long it has been serving; `u64::MAX`: from the beginning.
    fn age_ms(&self, now_ms: u64) -> u64 {
        if self.since_ms == 0 { u64::MAX } else { now_ms.saturating_sub(self.since_ms) }
    }
    fn is_warming(&self, slow: &SlowStart, now_ms: u64) -> bool {
        self.weight > 0 && slow.is_in_window(self.age_ms(now_ms))
    }

    pub(crate) fn may_connect(&self, now_ms: u64) -> bool {
        self.weight > 0 && self.connecting == 0 && now_ms >= self.not_before_ms
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.not_before_ms = 0;
    }

    pub(crate) fn failed(&mut self, now_ms: u64) {
        let backoff = (FIRST_BACKOFF_MS << self.failures.min(10)).min(LAST_BACKOFF_MS);
        self.failures = self.failures.saturating_add(1);
        self.not_before_ms = now_ms + backoff;
    }

    /// A connection refused a stream while `open` others were open on it.
    pub(crate) fn refused(&mut self, open: u32, now_ms: u64) {
        self.stream_limit = self.stream_limit.min(open).saturating_sub(1).max(1);
        self.limit_rises_ms = now_ms + LIMIT_STEP_MS;
    }

    /// How many streams a connection may have now.
    #[inline]
    pub(crate) fn stream_limit(&mut self, now_ms: u64) -> u32 {
        if self.stream_limit != u32::MAX && now_ms >= self.limit_rises_ms {
            self.limit_rises_ms = now_ms + LIMIT_STEP_MS;
            let risen = self.stream_limit + (self.stream_limit / 4).max(1);
            self.stream_limit = if risen < LIMIT_END { risen } else { u32::MAX };
        }
        self.stream_limit
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.failures > 0
    }
    pub(crate) fn not_before_ms(&self) -> u64 {
        self.not_before_ms
    }
}

pub(crate) struct Pool {
    pub(crate) backend: Arc<Backend>,
    /// Replaces the client's `:authority`.
    pub(crate) authority: Option<Rc<Field>>,
    /// Counts the calls under way, where that was ever asked for.
    pub(crate) limiter: Option<Arc<Limiter>>,
    /// Of this turn, for the limiter: calls that ended, and the most that were under way.
    pub(crate) finished: Vec<Finished>,
    pub(crate) peak: u32,
    /// Slots stay where they are while a connection refers to them.
    pub(crate) endpoints: Vec<Endpoint>,
    places: HashMap<Address, u32>,
    /// Slots that may be used again, and endpoints that went since they were looked for.
    free: Vec<u32>,
    unused: usize,
    /// How much of the backend is in use, by all workers.
    pub(crate) breakers: Arc<Breakers>,
    /// Exchanges that wait for a connection.
    pub(crate) queue: Queue,
    /// Named by the current snapshot.
    pub(crate) current: bool,
    losses_from_ms: u64,
    spread: Spread,
    /// When `spread` is to be made anew. 0: what it depends on has changed; `u64::MAX`: not before that.
    due_ms: u64,
    /// When it was made: weights of slow starts are those of then.
    made_ms: u64,
    /// Where its rounds begin: not all workers and gateways with the same endpoint, nor one worker each time.
    start: u64,
    tallies: Arc<Tallies>,
}

impl Pool {
    pub(crate) fn new(
        backend: Arc<Backend>,
        start: u64,
        tallies: Arc<Tallies>,
        breakers: Arc<Breakers>,
        now_ms: u64,
    ) -> Self {
        let reported = backend.endpoints.clone();
        let mut pool = Pool {
            backend,
            authority: None,
            limiter: None,
            finished: Vec::new(),
            peak: 0,
            endpoints: Vec::new(),
            places: HashMap::new(),
            free: Vec::new(),
            unused: 0,
            queue: Queue::new(breakers.clone()),
            breakers,
            current: true,
            losses_from_ms: 0,
            spread: Spread::default(),
            due_ms: 0,
            made_ms: 0,
            start,
            tallies,
        };
        pool.change_endpoints(&reported, &[], now_ms);
        pool
    }

    /// What the choice depends on is not what it was.
    pub(crate) fn changed(&mut self) {
        self.due_ms = 0;
    }

    /// Takes all that discovery reports; returns the connections of endpoints that are gone.
    pub(crate) fn set_endpoints(&mut self, reported: &[snapshot::Endpoint], now_ms: u64) -> Vec<u32> {
        let wanted: HashSet<&Address> = reported.iter().map(|endpoint| &endpoint.address).collect();
        let known = self.endpoints.iter().filter(|endpoint| endpoint.weight > 0);
        let gone = known.filter(|endpoint| !wanted.contains(&endpoint.address));
        let removed: Vec<Address> = gone.map(|endpoint| endpoint.address.clone()).collect();
        self.change_endpoints(reported, &removed, now_ms)
    }

    /// Takes what has changed; of an address that is there twice the first counts. Returns as `set_endpoints`.
    ///
    /// Endpoints that come where there are others begin slowly. The first ones do not: nobody else could take their part.
    pub(crate) fn change_endpoints(
        &mut self,
        changed: &[snapshot::Endpoint],
        removed: &[Address],
        now_ms: u64,
    ) -> Vec<u32> {
        let mut gone = Vec::new();
        for address in removed {
            if let Some(&at) = self.places.get(address) {
                let endpoint = &mut self.endpoints[at as usize];
                endpoint.weight = 0;
                gone.extend_from_slice(&endpoint.connections);
                self.unused += 1;
            }
        }
        let since_ms = if self.endpoints.iter().any(|endpoint| endpoint.weight > 0) { now_ms } else { 0 };
        for endpoint in changed.iter().rev() {
            match self.places.get(&endpoint.address) {
                Some(&at) => {
                    let known = &mut self.endpoints[at as usize];
                    if known.weight == 0 {
                        known.since_ms = since_ms;
                    }
                    (known.weight, known.priority, known.distance) =
                        (endpoint.weight, endpoint.priority, endpoint.distance);
                }
                None => self.add(endpoint, since_ms),
            }
        }
        self.due_ms = 0;
        gone
    }

    /// Slots that are not used any more are looked for once they are many.
    fn add(&mut self, endpoint: &snapshot::Endpoint, since_ms: u64) {
        let is_unused = |endpoint: &Endpoint| endpoint.weight == 0 && endpoint.open == 0;
        if self.free.is_empty() && self.unused > self.endpoints.len() / 4 {
            self.free =
                (0..self.endpoints.len() as u32).filter(|&at| is_unused(&self.endpoints[at as usize])).collect();
            self.unused = 0;
        }
        let fresh = Endpoint::new(endpoint, self.tallies.of(&self.backend.name, &endpoint.address), since_ms);
        let at = match self.free.pop() {
            // It may have been reported again since.
            Some(at) if is_unused(&self.endpoints[at as usize]) => {
                self.places.remove(&self.endpoints[at as usize].address);
                self.endpoints[at as usize] = fresh;
                at
            }
            _ => {
                self.endpoints.push(fresh);
                self.endpoints.len() as u32 - 1
            }
        };
        self.places.insert(endpoint.address.clone(), at);
    }

    /// Takes what is known of some endpoints. One that turns better begins slowly.
    ///
    /// Returns the connections of those that turned unhealthy: after an outage of the network they would go on waiting for
    /// packets to be sent again long after new ones work.
    pub(crate) fn set_health(&mut self, states: &[(Address, Health)], now_ms: u64) -> Vec<u32> {
        let mut ill = Vec::new();
        for (address, health) in states {
            if let Some(&at) = self.places.get(address)
                && self.endpoints[at as usize].health != *health
            {
                let endpoint = &mut self.endpoints[at as usize];
                if (*health as u8) < endpoint.health as u8 {
                    endpoint.since_ms = now_ms;
                }
                endpoint.health = *health;
                if *health == Health::Unhealthy {
                    ill.extend_from_slice(&endpoint.connections);
                }
                self.due_ms = 0;
            }
        }
        ill
    }

    /// Nothing is known of anybody any more.
    pub(crate) fn forget_health(&mut self) {
        self.endpoints.iter_mut().for_each(|endpoint| endpoint.health = Health::Unknown);
        self.due_ms = 0;
    }

    /// What was last reported, and what is known of it.
    pub(crate) fn reported(&self) -> (Vec<snapshot::Endpoint>, Vec<(Address, Health)>) {
        let known = self.endpoints.iter().filter(|endpoint| endpoint.weight > 0);
        known
            .map(|endpoint| {
                let Endpoint { address, weight, priority, distance, .. } = endpoint;
                let (weight, priority, distance) = (*weight, *priority, *distance);
                let reported = snapshot::Endpoint { address: address.clone(), weight, priority, distance };
                (reported, (address.clone(), endpoint.health))
            })
            .unzip()
    }

    /// An endpoint that discovery reports was lost; whether to tell of it.
    pub(crate) fn tells_loss(&mut self, now_ms: u64) -> bool {
        let tells = self.current && now_ms >= self.losses_from_ms;
        if tells {
            self.losses_from_ms = now_ms + LOSS_STEP_MS;
        }
        tells
    }

    /// The choice among the endpoints as they are now, and the endpoints.
    #[inline]
    pub(crate) fn choice(&mut self, now_ms: u64) -> (&mut Spread, &mut [Endpoint]) {
        if now_ms >= self.due_ms {
            self.make_spread(now_ms);
        }
        (&mut self.spread, &mut self.endpoints)
    }

    #[cold]
    fn make_spread(&mut self, now_ms: u64) {
        let plan = self.backend.plan;
        let names: Vec<String> = match plan.policy.hashes() {
            true => self.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect(),
            false => Vec::new(),
        };
        let warming = self.warming(now_ms);
        let weight = |endpoint: &Endpoint| match warming {
            Some(slow) => slow.parts(endpoint.weight, endpoint.age_ms(now_ms)),
            None => endpoint.weight,
        };
        let members: Vec<Member> = (0u32..)
            .zip(&self.endpoints)
            .filter(|(_, endpoint)| endpoint.weight > 0)
            .map(|(slot, endpoint)| Member {
                slot,
                weight: weight(endpoint),
                priority: endpoint.priority,
                distance: endpoint.distance,
                health: endpoint.health,
                name: names.get(slot as usize).map_or(b"", |name| name.as_bytes()),
            })
            .collect();
        let open = self.spread.open;
        self.spread = Spread::new(plan, &members, self.start);
        self.spread.open = open;
        (self.due_ms, self.made_ms) = (u64::MAX, now_ms);
        // Each round begins elsewhere.
        self.start = self.start.wrapping_add(GOLDEN);
        if let Some(slow) = warming {
            self.due_ms = now_ms + slow.step_ms();
        }
    }

    /// The backend's slow start while some endpoint is in it.
    fn warming(&self, now_ms: u64) -> Option<SlowStart> {
        let slow = self.backend.slow_start?;
        self.endpoints.iter().any(|endpoint| endpoint.is_warming(&slow, now_ms)).then_some(slow)
    }

    #[cfg(test)]
    pub(super) fn due_ms(&self) -> u64 {
        self.due_ms
    }

    /// A request was sent to one of the endpoints.
    #[inline]
    pub(crate) fn opened(&mut self) {
        self.spread.open += 1;
    }
    /// So many of those are over.
    #[inline]
    pub(crate) fn closed(&mut self, streams: usize) {
        debug_assert!(self.spread.open >= streams as u32);
        self.spread.open = self.spread.open.saturating_sub(streams as u32);
    }

    pub(crate) fn open(&self) -> u32 {
        self.spread.open
    }

    /// For each endpoint its weight as it counts now, and its part of all requests.
    pub(crate) fn shares(&mut self, now_ms: u64) -> Vec<(f64, f64)> {
        self.choice(now_ms);
        let weight = |endpoint: &Endpoint| match self.backend.slow_start {
            Some(slow) if endpoint.weight > 0 => {
                f64::from(slow.parts(endpoint.weight, endpoint.age_ms(self.made_ms))) / f64::from(PARTS)
            }
            _ => f64::from(endpoint.weight),
        };
        let mut shares: Vec<(f64, f64)> = self.endpoints.iter().map(|endpoint| (weight(endpoint), 0.0)).collect();
        for (load, slots) in self.spread.tiers() {
            let total: f64 = slots.iter().map(|&slot| shares[slot as usize].0).sum();
            for &slot in slots {
                let (weight, share) = &mut shares[slot as usize];
                *share = f64::from(load) / f64::from(WHOLE) * *weight / total;
            }
        }
        shares
    }

    /// Whether a connection is being made to an endpoint that requests may go to.
    pub(crate) fn is_connecting(&mut self, now_ms: u64) -> bool {
        let (spread, endpoints) = self.choice(now_ms);
        spread.slots().any(|at| endpoints[at as usize].connecting > 0)
    }

    /// Whether an endpoint that requests may go to has a connection for them, be it full; to be asked while none is made.
    pub(crate) fn is_connected(&mut self, now_ms: u64) -> bool {
        let (spread, endpoints) = self.choice(now_ms);
        spread.slots().any(|at| !endpoints[at as usize].connections.is_empty())
    }
}
