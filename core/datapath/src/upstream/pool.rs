//! The connections of one worker to one backend.
//!
//! Few connections are better than many: the requests of all clients share them, and each turn of the loop writes once
//! to each. Another one to the same endpoint is opened only when the peer's stream limit fills.
//!
//! A server may count a stream for longer than its peer does, grpcio until the application has let go of the call. It
//! refuses the stream that follows at once on one that has ended, and would refuse it again. So refusals lower the number
//! of streams that an endpoint's connections get, by one more than was refused; the number rises again with time.

use crate::http2::hpack::Field;
use crate::snapshot::{Address, Backend};
use std::collections::VecDeque;
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
    pub(crate) connections: Vec<u32>,
    /// Of them, those that are not connected yet.
    pub(crate) connecting: u32,
    failures: u32,
    not_before_ms: u64,
    /// Streams that each connection may get, beside the peer's own limit. `u32::MAX`: it has refused none.
    stream_limit: u32,
    limit_rises_ms: u64,
}

impl Endpoint {
    fn new(address: Address, weight: u32) -> Self {
        Endpoint {
            address,
            weight,
            connections: Vec::new(),
            connecting: 0,
            failures: 0,
            not_before_ms: 0,
            stream_limit: u32::MAX,
            limit_rises_ms: 0,
        }
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
    /// Slots stay where they are while a connection refers to them.
    pub(crate) endpoints: Vec<Endpoint>,
    /// Exchanges that wait for a connection: (slot, generation).
    pub(crate) queue: VecDeque<(u32, u32)>,
    /// The endpoint whose turn is next.
    pub(crate) cursor: usize,
    /// Named by the current snapshot.
    pub(crate) current: bool,
}

impl Pool {
    pub(crate) fn new(backend: Arc<Backend>) -> Self {
        let endpoints =
            backend.endpoints.iter().map(|(address, weight)| Endpoint::new(address.clone(), *weight)).collect();
        Pool { backend, authority: None, endpoints, queue: VecDeque::new(), cursor: 0, current: true }
    }

    /// Takes what discovery reports; returns the connections of endpoints that are gone.
    pub(crate) fn set_endpoints(&mut self, reported: &[(Address, u32)]) -> Vec<u32> {
        for endpoint in &mut self.endpoints {
            endpoint.weight =
                reported.iter().find(|(address, _)| *address == endpoint.address).map_or(0, |(_, weight)| *weight);
        }
        for (address, weight) in reported {
            if self.endpoints.iter().any(|endpoint| endpoint.address == *address) {
                continue;
            }
            let fresh = Endpoint::new(address.clone(), *weight);
            match self.endpoints.iter_mut().find(|endpoint| endpoint.weight == 0 && endpoint.connections.is_empty()) {
                Some(unused) => *unused = fresh,
                None => self.endpoints.push(fresh),
            }
        }
        let gone = self.endpoints.iter().filter(|endpoint| endpoint.weight == 0);
        gone.flat_map(|endpoint| endpoint.connections.iter().copied()).collect()
    }

    pub(crate) fn is_connecting(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.connecting > 0)
    }
}
