//! How the real calls to an endpoint end, counted over all workers: passive outlier detection.
//!
//! The core only counts, and says so when one fails again and again; whether it is to be left out for a while, and for how
//! long, is decided outside.

use crate::shared::lock;
use crate::snapshot::Address;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};

/// How a call ended, as far as its endpoint is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Answered,
    /// It was not there, went away, or said UNAVAILABLE (502 to 504): Envoy's "gateway errors".
    Failed,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    consecutive: AtomicU32,
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    /// Notes an ending; `Some(n)`: it was the `n`th failure in a row, and `n` is a multiple of `threshold`.
    #[inline]
    pub(crate) fn note(&self, ending: Ending, threshold: u32) -> Option<u32> {
        if ending == Ending::Answered {
            self.answered.fetch_add(1, Relaxed);
            if self.consecutive.load(Relaxed) != 0 {
                self.consecutive.store(0, Relaxed);
            }
            return None;
        }
        self.failed.fetch_add(1, Relaxed);
        let count = self.consecutive.fetch_add(1, Relaxed) + 1;
        (threshold > 0 && count.is_multiple_of(threshold)).then_some(count)
    }

    /// (answered, failed) since the first worker knew the endpoint.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.answered.load(Relaxed), self.failed.load(Relaxed))
    }
}

/// The process's tallies, one for each endpoint of a backend, as long as some worker knows it.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    known: Mutex<HashMap<(String, Address), Weak<Tally>>>,
}

/// Entries of endpoints that are gone are looked for when there are at least so many.
const SWEEP_FROM: usize = 256;

impl Tallies {
    pub(crate) fn of(&self, backend: &str, address: &Address) -> Arc<Tally> {
        let mut known = lock(&self.known);
        let key = (backend.to_owned(), address.clone());
        if let Some(tally) = known.get(&key).and_then(Weak::upgrade) {
            return tally;
        }
        if known.len() >= SWEEP_FROM && known.len() == known.capacity() {
            known.retain(|_, tally| tally.strong_count() > 0);
        }
        let tally = Arc::new(Tally::default());
        known.insert(key, Arc::downgrade(&tally));
        tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_in_a_row_are_told_once_each_time() {
        let tally = Tally::default();
        let told: Vec<u32> = (0..7).filter_map(|_| tally.note(Ending::Failed, 3)).collect();
        assert_eq!(told, [3, 6]);
        tally.note(Ending::Answered, 3);
        assert_eq!(tally.note(Ending::Failed, 1), Some(1));
        assert_eq!(tally.note(Ending::Failed, 0), None);
        assert_eq!(tally.totals(), (1, 9));
    }

    #[test]
    fn workers_share_a_tally_and_endpoints_do_not() {
        let tallies = Tallies::default();
        let address = |port| Address::Tcp(([10, 0, 0, 1], port).into());
        let (one, same) = (tallies.of("app", &address(1)), tallies.of("app", &address(1)));
        assert!(Arc::ptr_eq(&one, &same));
        assert!(!Arc::ptr_eq(&one, &tallies.of("app", &address(2))));
        assert!(!Arc::ptr_eq(&one, &tallies.of("other", &address(1))));
    }
}
