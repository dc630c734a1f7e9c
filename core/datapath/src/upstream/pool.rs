//! The connections of one worker to one backend.
//!
//! Few connections are better than many: the requests of all clients share them, and each turn of the loop writes once
//! to each. Another one to the same endpoint is opened only when the peer's stream limit fills.
//!
//! A server may count a stream for longer than its peer does, grpcio until the application has let go of the call. It
//! refuses the stream that follows at once on one that has ended, and would refuse it again. So refusals lower the number
//! of streams that an endpoint's connections get, by one more than was refused; the number rises again with time.

use super::tally::{Tallies, Tally};
use crate::admission::gradient::Finished;
use crate::admission::limiter::Limiter;
use crate::balance::spread::{Health, Member, Spread};
use crate::http2::hpack::Field;
use crate::snapshot::{self, Address, Backend};
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

/// Back-off after failed connects: doubles from the first to the last.
const FIRST_BACKOFF_MS: u64 = 20;
const LAST_BACKOFF_MS: u64 = 250;
/// A limit that follows on refusals rises by a quarter in this time, and ends here.
const LIMIT_STEP_MS: u64 = 1_000;
const LIMIT_END: u32 = 1_000;

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) address: Address,
    /// 0: discovery reports it no longer; what runs there finishes.
    pub(crate) weight: u32,
    priority: u32,
    pub(crate) health: Health,
    pub(crate) connections: Vec<u32>,
    /// Of them, those that are not connected yet.
    pub(crate) connecting: u32,
    failures: u32,
    not_before_ms: u64,
    pub(crate) tally: Arc<Tally>,
    /// Streams that each connection may get, beside the peer's own limit. `u32::MAX`: it has refused none.
    stream_limit: u32,
    limit_rises_ms: u64,
}

impl Endpoint {
    fn new(reported: &snapshot::Endpoint, tally: Arc<Tally>) -> Self {
        Endpoint {
            address: reported.address.clone(),
            weight: reported.weight,
            priority: reported.priority,
            health: Health::Unknown,
            connections: Vec::new(),
            connecting: 0,
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
    /// Exchanges that wait for a connection: (slot, generation).
    pub(crate) queue: VecDeque<(u32, u32)>,
    /// Where the search for an endpoint to connect to goes on.
    pub(crate) cursor: usize,
    /// Named by the current snapshot.
    pub(crate) current: bool,
    spread: Spread,
    /// Endpoints, their health or the policy have changed since `spread` was made.
    stale: bool,
    /// Where its rounds begin: not all workers and gateways with the same endpoint.
    start: u64,
    tallies: Arc<Tallies>,
}

impl Pool {
    pub(crate) fn new(backend: Arc<Backend>, start: u64, tallies: Arc<Tallies>) -> Self {
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
            queue: VecDeque::new(),
            cursor: 0,
            current: true,
            spread: Spread::default(),
            stale: true,
            start,
            tallies,
        };
        pool.change_endpoints(&reported, &[]);
        pool
    }

    /// What the choice depends on is not what it was.
    pub(crate) fn changed(&mut self) {
        self.stale = true;
    }

    /// Takes all that discovery reports; returns the connections of endpoints that are gone.
    pub(crate) fn set_endpoints(&mut self, reported: &[snapshot::Endpoint]) -> Vec<u32> {
        let wanted: HashSet<&Address> = reported.iter().map(|endpoint| &endpoint.address).collect();
        let known = self.endpoints.iter().filter(|endpoint| endpoint.weight > 0);
        let gone = known.filter(|endpoint| !wanted.contains(&endpoint.address));
        let removed: Vec<Address> = gone.map(|endpoint| endpoint.address.clone()).collect();
        self.change_endpoints(reported, &removed)
    }

    /// Takes what has changed; of an address that is there twice the first counts. Returns as `set_endpoints`.
    pub(crate) fn change_endpoints(&mut self, changed: &[snapshot::Endpoint], removed: &[Address]) -> Vec<u32> {
        let mut gone = Vec::new();
        for address in removed {
            if let Some(&at) = self.places.get(address) {
                let endpoint = &mut self.endpoints[at as usize];
                endpoint.weight = 0;
                gone.extend_from_slice(&endpoint.connections);
                self.unused += 1;
            }
        }
        for endpoint in changed.iter().rev() {
            match self.places.get(&endpoint.address) {
                Some(&at) => {
                    let known = &mut self.endpoints[at as usize];
                    (known.weight, known.priority) = (endpoint.weight, endpoint.priority);
                }
                None => self.add(endpoint),
            }
        }
        self.stale = true;
        gone
    }

    /// Slots that are not used any more are looked for once they are many.
    fn add(&mut self, endpoint: &snapshot::Endpoint) {
        let is_unused = |endpoint: &Endpoint| endpoint.weight == 0 && endpoint.connections.is_empty();
        if self.free.is_empty() && self.unused > self.endpoints.len() / 4 {
            self.free =
                (0..self.endpoints.len() as u32).filter(|&at| is_unused(&self.endpoints[at as usize])).collect();
            self.unused = 0;
        }
        let fresh = Endpoint::new(endpoint, self.tallies.of(&self.backend.name, &endpoint.address));
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

    /// Takes what is known of some endpoints.
    pub(crate) fn set_health(&mut self, states: &[(Address, Health)]) {
        for (address, health) in states {
            if let Some(&at) = self.places.get(address)
                && self.endpoints[at as usize].health != *health
            {
                self.endpoints[at as usize].health = *health;
                self.stale = true;
            }
        }
    }

    /// The choice among the endpoints as they are now, and the endpoints.
    #[inline]
    pub(crate) fn choice(&mut self) -> (&mut Spread, &mut [Endpoint]) {
        if self.stale {
            self.make_spread();
        }
        (&mut self.spread, &mut self.endpoints)
    }

    #[cold]
    fn make_spread(&mut self) {
        let names: Vec<String> = match self.backend.policy.hashes() {
            true => self.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect(),
            false => Vec::new(),
        };
        let members: Vec<Member> = (0u32..)
            .zip(&self.endpoints)
            .filter(|(_, endpoint)| endpoint.weight > 0)
            .map(|(slot, endpoint)| Member {
                slot,
                weight: endpoint.weight,
                priority: endpoint.priority,
                health: endpoint.health,
                name: names.get(slot as usize).map_or(b"", |name| name.as_bytes()),
            })
            .collect();
        self.spread = Spread::new(self.backend.policy, self.backend.rules, &members, self.start);
        self.stale = false;
    }

    pub(crate) fn is_connecting(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.connecting > 0)
    }
}
