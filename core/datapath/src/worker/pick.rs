//! Which endpoint, and which connection to it, a request goes to.

use super::Worker;
use super::connection::{Connection, Connections};
use super::exchange::CLIENT;
use super::tries::Tried;
use crate::bytes::hash::hash;
use crate::snapshot::document::HashOn;
use crate::upstream::Endpoint;

/// Endpoints that a policy is asked for before any that is ready will do, and how many of those are asked.
const PICKS: u32 = 3;
const MOST_ASKED: usize = 64;
/// The same for every gateway: a request's hash leads to the same endpoint from each.
const HASH_SEED: u64 = 0x7469_6465_6761_7465;

impl Worker {
    /// A connection with room for a stream, to the endpoint that the backend's policy names. Endpoints that are named and
    /// have none are connected to, and the next that is named is asked; if all are without, the best that is ready, while
    /// a better one is connected to.
    #[inline]
    pub(super) fn pick(&mut self, pool: u32, slot: u32) -> Option<(u32, u32)> {
        match &self.exchanges[slot].tries {
            Some(tries) if !tries.tried.is_empty() => self.pick_again(pool, slot),
            _ => self.pick_except(pool, slot, &Tried::NONE),
        }
    }

    /// Not an endpoint that had the request already, while there is another.
    #[cold]
    fn pick_again(&mut self, pool: u32, slot: u32) -> Option<(u32, u32)> {
        self.pick_other(pool, slot).or_else(|| self.pick_except(pool, slot, &Tried::NONE))
    }

    /// An endpoint that did not have the request yet.
    pub(super) fn pick_other(&mut self, pool: u32, slot: u32) -> Option<(u32, u32)> {
        let tried = self.exchanges[slot].tries.as_ref()?.tried;
        self.pick_except(pool, slot, &tried)
    }

    #[inline]
    fn pick_except(&mut self, pool: u32, slot: u32, tried: &Tried) -> Option<(u32, u32)> {
        let now_ms = self.clock.now_ms;
        let random = self.next_random();
        let hash =
            if self.pools[pool as usize].backend.plan.policy.hashes() { self.hash_of(pool, slot, random) } else { 0 };
        let mut lacking = None;
        let (spread, endpoints) = self.pools[pool as usize].choice(now_ms);
        let connections = &self.connections;
        for turn in 0..PICKS {
            let load = |at: u32| open_streams(&endpoints[at as usize], connections);
            let Some(at) = spread.pick(random.rotate_left(turn * 21), hash, load) else { break };
            if tried.contains(at) {
                continue;
            }
            if let Some(connection) = ready(&mut endpoints[at as usize], connections, now_ms) {
                if let Some(endpoint) = lacking {
                    self.connect_if_possible(pool, endpoint);
                }
                return Some((at, connection));
            }
            lacking = lacking.or(Some(at));
        }
        self.pick_ready(pool, tried, random, lacking)
    }

    /// The best endpoint that is ready. One that the policy named, or else one that is better, is connected to meanwhile.
    #[cold]
    fn pick_ready(&mut self, pool: u32, tried: &Tried, random: u64, lacking: Option<u32>) -> Option<(u32, u32)> {
        let now_ms = self.clock.now_ms;
        let (spread, endpoints) = self.pools[pool as usize].choice(now_ms);
        let (mut found, mut better, mut is_coming) = (None, None, false);
        for at in spread.slots_from(random).filter(|&at| !tried.contains(at)).take(MOST_ASKED) {
            let endpoint = &mut endpoints[at as usize];
            if let Some(connection) = ready(endpoint, &self.connections, now_ms) {
                found = Some((at, connection));
                break;
            }
            is_coming |= endpoint.connecting > 0;
            better = better.or(endpoint.may_connect(now_ms).then_some(at));
        }
        let is_connecting = lacking.is_some_and(|endpoint| self.connect_if_possible(pool, endpoint));
        if found.is_some()
            && !(is_connecting || is_coming)
            && let Some(endpoint) = better
        {
            self.connect_if_possible(pool, endpoint);
        }
        found
    }

    /// Of what the backend's policy hashes; where the request has no such thing, `random`.
    #[cold]
    fn hash_of(&mut self, pool: u32, slot: u32, random: u64) -> u64 {
        let exchange = &self.exchanges[slot];
        let head = exchange.head.as_deref();
        let text = match &self.pools[pool as usize].backend.hash_on {
            Some(HashOn::Header(name)) => head.and_then(|head| {
                let at = head.list.find(&self.dictionary, name.as_bytes())?;
                Some(head.list.value(&self.dictionary, at))
            }),
            Some(HashOn::Cookie(name)) => head.and_then(|head| {
                let cookies = head.list.iter(&self.dictionary).filter(|(field, _)| *field == b"cookie");
                cookies
                    .flat_map(|(_, value)| value.split(|&byte| byte == b';'))
                    .find_map(|pair| pair.trim_ascii().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
            }),
            Some(HashOn::Source) => {
                self.connections.peek(exchange.sides[CLIENT].connection).map(|client| client.peer_address.as_bytes())
            }
            None => None,
        };
        text.map_or(random, |text| hash(HASH_SEED, text))
    }

    /// Whether a connection is being made to an endpoint that did not have the request yet, and none of these has one.
    pub(super) fn other_is_coming(&mut self, slot: u32) -> bool {
        let now_ms = self.clock.now_ms;
        let exchange = &self.exchanges[slot];
        let pool = exchange.pool;
        let tried = exchange.tries.as_ref().map_or(Tried::NONE, |tries| tries.tried);
        let (spread, endpoints) = self.pools[pool as usize].choice(now_ms);
        let (mut coming, mut candidate) = (false, None);
        for at in spread.slots().filter(|&at| !tried.contains(at)).take(MOST_ASKED) {
            let endpoint = &endpoints[at as usize];
            if endpoint.connections.len() > endpoint.connecting as usize {
                return false;
            }
            coming |= endpoint.connecting > 0;
            candidate = candidate.or(endpoint.may_connect(now_ms).then_some(at));
        }
        coming || candidate.is_some_and(|at| self.connect_if_possible(pool, at))
    }
}

/// A connection to it that has room for a stream.
#[inline]
fn ready(endpoint: &mut Endpoint, connections: &Connections, now_ms: u64) -> Option<u32> {
    let limit = endpoint.stream_limit(now_ms);
    let has_room = |slot: u32| connections.peek(slot).is_some_and(|held| held.has_room(limit, now_ms));
    endpoint.connections.iter().copied().find(|&connection| has_room(connection))
}

/// Requests that an endpoint has open from this worker.
fn open_streams(endpoint: &Endpoint, connections: &Connections) -> u32 {
    let open = |&slot: &u32| connections.peek(slot).map_or(0, Connection::stream_count);
    endpoint.connections.iter().map(open).sum::<usize>() as u32
}
