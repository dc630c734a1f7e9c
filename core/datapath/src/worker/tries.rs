//! What is known of the attempts of a request whose retry policy, or whose backend's limits, have to be watched.
//!
//! An exchange without any of that has none of this, and pays for none of it.

use super::exchange::NONE;
use crate::upstream::Place;
use crate::upstream::retry::Policy;
use std::sync::Arc;

/// Endpoints of earlier attempts that are remembered, the latest ones.
const MOST_TRIED: usize = 4;

/// Endpoints that had the request already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tried {
    endpoints: [u32; MOST_TRIED],
    count: u32,
}

impl Tried {
    pub(crate) const NONE: Tried = Tried { endpoints: [NONE; MOST_TRIED], count: 0 };

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    #[inline]
    pub(crate) fn contains(&self, endpoint: u32) -> bool {
        self.count > 0 && self.endpoints.contains(&endpoint)
    }

    fn add(&mut self, endpoint: u32) {
        self.endpoints[self.count as usize % MOST_TRIED] = endpoint;
        self.count += 1;
    }
}

#[derive(Debug)]
pub(crate) struct Tries {
    pub(super) policy: Arc<Policy>,
    /// Its place among its backend's requests, from when it is first sent.
    pub(super) request: Option<Place>,
    /// Its place among those that are sent again or hedged.
    pub(super) again: Option<Place>,
    pub(super) tried: Tried,
    /// How often it looked in vain for room in the budget or for another endpoint.
    pub(super) looks: u32,
    /// In the worker's milliseconds, when the attempt's time-out or its back-off ends; 0: none.
    pub(super) due_ms: u64,
    /// When it is to be hedged; 0: not.
    pub(super) hedge_ms: u64,
    /// The entry of its hedge.
    pub(super) hedge: u32,
}

impl Tries {
    pub(super) fn new(policy: Arc<Policy>) -> Tries {
        Tries { policy, request: None, again: None, tried: Tried::NONE, looks: 0, due_ms: 0, hedge_ms: 0, hedge: NONE }
    }

    /// An attempt goes to `endpoint` now.
    pub(super) fn begin(&mut self, endpoint: u32, may_hedge: bool, now_ms: u64) {
        self.tried.add(endpoint);
        let after = |ms: u64| if ms > 0 { now_ms + ms } else { 0 };
        self.due_ms = after(self.policy.per_try_timeout_ms);
        self.hedge_ms = if may_hedge { after(self.policy.hedge_delay_ms) } else { 0 };
    }

    /// Whatever is due has its time anew.
    pub(super) fn restart(&mut self, now_ms: u64) {
        if self.due_ms > 0 {
            self.due_ms = now_ms + self.policy.per_try_timeout_ms;
        }
        if self.hedge_ms > 0 {
            self.hedge_ms = now_ms + self.policy.hedge_delay_ms;
        }
    }

    /// Nothing is due any more.
    pub(super) fn settle(&mut self) {
        (self.due_ms, self.hedge_ms) = (0, 0);
    }

    /// When it wants to be looked at; `u64::MAX`: not at all.
    pub(super) fn next_ms(&self) -> u64 {
        let set = |ms: u64| if ms > 0 { ms } else { u64::MAX };
        set(self.due_ms).min(set(self.hedge_ms))
    }
}
