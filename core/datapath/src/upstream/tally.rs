//! How the real calls to an endpoint end, counted over all workers: passive outlier detection.
//!
//! The core only counts, and says so when one fails again and again; whether it is to be left out for a while, and for how
//! long, is decided outside.

use crate::observe::series::Code;
use crate::shared::lock;
use crate::snapshot::Address;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Weak};

/// gRPC's numbers of the statuses that speak against a server.
mod code {
    pub(super) const UNKNOWN: u8 = 2;
    pub(super) const DEADLINE_EXCEEDED: u8 = 4;
    pub(super) const INTERNAL: u8 = 13;
    pub(super) const UNAVAILABLE: u8 = 14;
    pub(super) const DATA_LOSS: u8 = 15;
}

/// How a call ended, as far as its endpoint is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Answered,
    /// It answered with an error of its own: Envoy's 5xx, which counts for rates and not for failures in a row.
    Erred,
    /// It was not there, went away, or said UNAVAILABLE (502 to 504): Envoy's "gateway errors".
    Failed,
}

impl Ending {
    /// gRPC's statuses count as the HTTP status that Envoy takes them for (common.cc, `grpcToHttpStatus`). One differs:
    /// UNIMPLEMENTED and 501 speak of what was asked for, and one client's wrong path shall not eject servers.
    #[inline]
    pub(crate) fn of(code: Code) -> Self {
        match code {
            Code::Grpc(code::UNAVAILABLE) | Code::Http(502..=504) => Ending::Failed,
            Code::Grpc(code::UNKNOWN | code::DEADLINE_EXCEEDED | code::INTERNAL | code::DATA_LOSS) => Ending::Erred,
            Code::Http(500 | 505..=599) => Ending::Erred,
            _ => Ending::Answered,
        }
    }
}

/// How many calls to an endpoint ended in each way since the first worker knew it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) answered: u64,
    pub(crate) erred: u64,
    pub(crate) failed: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    consecutive: AtomicU32,
    answered: AtomicU64,
    erred: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    /// Notes an ending; `Some(n)`: it was the `n`th failure in a row, and `n` is a multiple of `threshold`.
    #[inline]
    pub(crate) fn note(&self, ending: Ending, threshold: u32) -> Option<u32> {
        if ending != Ending::Failed {
            let counted = if ending == Ending::Answered { &self.answered } else { &self.erred };
            counted.fetch_add(1, Relaxed);
            if self.consecutive.load(Relaxed) != 0 {
                self.consecutive.store(0, Relaxed);
            }
            return None;
        }
        self.failed.fetch_add(1, Relaxed);
        let count = self.consecutive.fetch_add(1, Relaxed) + 1;
        (threshold > 0 && count.is_multiple_of(threshold)).then_some(count)
    }

    pub(crate) fn totals(&self) -> Totals {
        Totals {
            answered: self.answered.load(Relaxed),
            erred: self.erred.load(Relaxed),
            failed: self.failed.load(Relaxed),
        }
    }
}

/// The process's tallies by backend, one for each endpoint as long as some worker knows it.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    known: Mutex<HashMap<String, HashMap<Address, Weak<Tally>>>>,
}

/// Entries of endpoints that are gone are looked for when there are at least so many.
const SWEEP_FROM: usize = 256;

impl Tallies {
    pub(crate) fn of(&self, backend: &str, address: &Address) -> Arc<Tally> {
        let mut all = lock(&self.known);
        if !all.contains_key(backend) {
            all.retain(|_, known| known.values().any(|tally| tally.strong_count() > 0));
            all.insert(backend.to_owned(), HashMap::new());
        }
        let known = all.entry(backend.to_owned()).or_default();
        if let Some(tally) = known.get(address).and_then(Weak::upgrade) {
            return tally;
        }
        if known.len() >= SWEEP_FROM && known.len() == known.capacity() {
            known.retain(|_, tally| tally.strong_count() > 0);
        }
        let tally = Arc::new(Tally::default());
        known.insert(address.clone(), Arc::downgrade(&tally));
        tally
    }

    /// Those of a backend's endpoints; none of a backend that no worker knows.
    pub(crate) fn totals(&self, backend: &str) -> Vec<(Address, Totals)> {
        let all = lock(&self.known);
        let known = all.get(backend).into_iter().flatten();
        known.filter_map(|(address, tally)| Some((address.clone(), tally.upgrade()?.totals()))).collect()
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
        tally.note(Ending::Failed, 3);
        tally.note(Ending::Erred, 3);
        assert_eq!(tally.note(Ending::Failed, 2), None, "an answer of any kind ends the row");
        assert_eq!(tally.totals(), Totals { answered: 1, erred: 1, failed: 11 });
    }

    #[test]
    fn statuses_speak_against_the_server_or_not() {
        let of = |codes: &[Code]| codes.iter().map(|&code| Ending::of(code)).collect::<Vec<_>>();
        assert_eq!(of(&[Code::Grpc(14), Code::Http(502), Code::Http(503), Code::Http(504)]), [Ending::Failed; 4]);
        assert_eq!(of(&[2, 4, 13, 15].map(Code::Grpc)), [Ending::Erred; 4]);
        assert_eq!(of(&[500, 505, 599].map(Code::Http)), [Ending::Erred; 3]);
        assert_eq!(of(&[0, 1, 3, 5, 6, 7, 8, 9, 10, 11, 12, 16].map(Code::Grpc)), [Ending::Answered; 12]);
        assert_eq!(of(&[200, 404, 429, 501, 600].map(Code::Http)), [Ending::Answered; 5]);
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

    #[test]
    fn endpoints_that_nobody_knows_are_forgotten() {
        let tallies = Tallies::default();
        let address = |port| Address::Tcp(([10, 0, 0, 1], port).into());
        let held = tallies.of("app", &address(1));
        drop(tallies.of("app", &address(2)));
        drop(tallies.of("gone", &address(3)));
        held.note(Ending::Answered, 0);
        assert_eq!(tallies.totals("app"), [(address(1), Totals { answered: 1, ..Totals::default() })]);
        assert_eq!(tallies.totals("none"), []);
        let _other = tallies.of("other", &address(4));
        assert_eq!(lock(&tallies.known).len(), 2);
    }
}
