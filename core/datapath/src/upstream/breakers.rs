//! How much of a backend may be in use at once, counted over all workers: circuit breakers and the retry budget.
//!
//! The counts belong to a backend's name and live as long as some worker knows it; the limits are those of the snapshot
//! that is served, handed in by who asks. A count is a [`Place`] that gives itself back when it is dropped, so that none is
//! lost however a request, a connection or a worker ends.

use crate::shared::lock;
use crate::snapshot::document::CircuitBreakers;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};

/// What is counted of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Kind {
    Connections,
    Pending,
    Requests,
    /// Requests that were sent again or hedged, until they end.
    Retries,
}

#[derive(Debug, Default)]
pub(crate) struct Breakers {
    used: [AtomicU32; 4],
}

/// Why a request is not sent again although its policy would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Budget,
    MaxRetries,
}

/// How many requests may be under way a second time while `active` are in all.
pub(crate) fn budget(limits: &CircuitBreakers, active: u32) -> u32 {
    let share = u64::from(active) * u64::from(limits.retry_budget_percent) / 100;
    limits.retry_budget_least.max(u32::try_from(share).unwrap_or(u32::MAX))
}

impl Breakers {
    /// Counts one more; `None`: there would be more than `most`.
    pub(crate) fn take(self: &Arc<Self>, kind: Kind, most: u32) -> Option<Place> {
        self.add(kind, most).then(|| Place { breakers: self.clone(), kind })
    }

    /// As `take`, for the retries that budget and breaker leave room for.
    pub(crate) fn take_retry(self: &Arc<Self>, limits: &CircuitBreakers) -> Result<Place, Refused> {
        let most = limit(limits.max_retries);
        let allowed = budget(limits, self.used(Kind::Requests));
        let why = if most < allowed { Refused::MaxRetries } else { Refused::Budget };
        self.take(Kind::Retries, allowed.min(most)).ok_or(why)
    }

    pub(crate) fn used(&self, kind: Kind) -> u32 {
        self.used[kind as usize].load(Relaxed)
    }

    pub(super) fn add(&self, kind: Kind, most: u32) -> bool {
        let more = |used: u32| (used < most).then_some(used.saturating_add(1));
        self.used[kind as usize].fetch_update(Relaxed, Relaxed, more).is_ok()
    }

    pub(super) fn give_back(&self, kind: Kind, count: u32) {
        self.used[kind as usize].fetch_sub(count, Relaxed);
    }
}

/// A limit as documents write it: 0 is none.
pub(crate) fn limit(written: u32) -> u32 {
    if written == 0 { u32::MAX } else { written }
}

/// One that is counted, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    breakers: Arc<Breakers>,
    kind: Kind,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.breakers.give_back(self.kind, 1);
    }
}

/// The process's breakers, by the backend's name.
#[derive(Debug, Default)]
pub(crate) struct AllBreakers {
    known: Mutex<HashMap<String, Weak<Breakers>>>,
}

impl AllBreakers {
    pub(crate) fn of(&self, backend: &str) -> Arc<Breakers> {
        let mut known = lock(&self.known);
        if let Some(breakers) = known.get(backend).and_then(Weak::upgrade) {
            return breakers;
        }
        known.retain(|_, breakers| breakers.strong_count() > 0);
        let breakers = Arc::new(Breakers::default());
        known.insert(backend.to_owned(), Arc::downgrade(&breakers));
        breakers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Begin,
        Retry,
        End(usize),
        EndRetry(usize),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Begin),
            Just(Step::Retry),
            (0usize..64).prop_map(Step::End),
            (0usize..64).prop_map(Step::EndRetry),
        ]
    }

    proptest! {
        #[test]
        fn the_budget_holds_at_every_step(
            steps in proptest::collection::vec(any_step(), 0..400),
            percent in 0u32..101, least in 0u32..6, max_retries in 0u32..12,
        ) {
            let limits = CircuitBreakers {
                retry_budget_percent: percent, retry_budget_least: least, max_retries, ..CircuitBreakers::default()
            };
            let breakers = Arc::new(Breakers::default());
            let (mut requests, mut retries) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Begin => requests.extend(breakers.take(Kind::Requests, u32::MAX)),
                    Step::End(at) if !requests.is_empty() => drop(requests.swap_remove(at % requests.len())),
                    Step::EndRetry(at) if !retries.is_empty() => drop(retries.swap_remove(at % retries.len())),
                    Step::Retry => {
                        let allowed = (requests.len() as u32 * percent / 100).max(least).min(limit(max_retries));
                        let taken = breakers.take_retry(&limits);
                        prop_assert_eq!(taken.is_ok(), (retries.len() as u32) < allowed);
                        retries.extend(taken.ok());
                    }
                    _ => {}
                }
                prop_assert_eq!(breakers.used(Kind::Requests) as usize, requests.len());
                prop_assert_eq!(breakers.used(Kind::Retries) as usize, retries.len());
            }
            drop((requests, retries));
            prop_assert_eq!(breakers.used(Kind::Requests) + breakers.used(Kind::Retries), 0);
        }
    }

    #[test]
    fn no_two_threads_get_the_last_place() {
        let breakers = Arc::new(Breakers::default());
        let taken: usize = std::thread::scope(|scope| {
            let take = || (0..1_000).filter_map(|_| breakers.take(Kind::Requests, 700)).collect::<Vec<Place>>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            let held: Vec<Vec<Place>> = threads.into_iter().filter_map(|thread| thread.join().ok()).collect();
            held.iter().map(Vec::len).sum()
        });
        assert_eq!(taken, 700);
        assert_eq!(breakers.used(Kind::Requests), 0);
    }

    #[test]
    fn workers_share_a_backends_breakers() {
        let all = AllBreakers::default();
        let (one, same) = (all.of("app"), all.of("app"));
        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one, &all.of("other")));
    }
}
