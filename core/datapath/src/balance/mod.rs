//! Which of a backend's endpoints a request gets.
//!
//! A [`Balancer`] is made of the endpoints that may be picked now, whatever makes them so, and knows them by their position
//! only. Picking costs the same among four endpoints and among thousands; making a new one when they change costs a walk
//! over them.
//!
//! `priority` says how much of the load each group of endpoints gets while some of them are not healthy, `spread` which
//! groups there are, `slow_start` what an endpoint gets that has just come.

pub mod bounded;
pub mod maglev;
pub mod priority;
pub mod ring;
pub mod slow_start;
pub mod spread;
pub mod weighted;

use bounded::Bound;
use maglev::Maglev;
use ring::Ring;
use weighted::Weighted;

/// How one endpoint of several is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// In turn, each as often as its weight says.
    #[default]
    RoundRobin,
    /// Of two at random, the one with fewer requests for its weight (the power of two choices: Mitzenmacher, 2001).
    LeastRequest,
    Random,
    /// By a hash of the request: an endpoint more or less moves few requests.
    RingHash,
    /// The same from a table: faster to look up and more even, slower to make.
    Maglev,
}

impl Policy {
    /// Whether it wants a hash of each request.
    pub fn hashes(self) -> bool {
        matches!(self, Policy::RingHash | Policy::Maglev)
    }
}

/// An endpoint that may be picked. `weight` is at least 1; `name` is what hashing policies know it by on every machine.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub weight: u32,
    pub name: &'a [u8],
}

/// Chooses among the candidates that it was made of.
#[derive(Debug)]
pub struct Balancer {
    table: Table,
    /// Of hashing policies alone.
    bound: Option<Box<Bound>>,
    count: usize,
}

#[derive(Debug)]
enum Table {
    RoundRobin(Weighted),
    LeastRequest(Weighted),
    Random(Weighted),
    Ring(Ring),
    Maglev(Maglev),
}

impl Balancer {
    /// `start` varies the place where a round begins, so that many balancers do not all begin with the same endpoint.
    pub fn new(policy: Policy, candidates: &[Candidate<'_>], start: u64) -> Balancer {
        let weighted = || Weighted::new(candidates.iter().map(|candidate| candidate.weight), start);
        let table = match policy {
            Policy::RoundRobin => Table::RoundRobin(weighted()),
            Policy::LeastRequest => Table::LeastRequest(weighted()),
            Policy::Random => Table::Random(weighted()),
            Policy::RingHash => Table::Ring(Ring::new(candidates)),
            Policy::Maglev => Table::Maglev(Maglev::new(candidates)),
        };
        Balancer { table, bound: None, count: candidates.len() }
    }

    /// Hashing policies pass over a candidate that has more than its part of the average, times `factor` hundredths.
    pub fn bounded(mut self, factor: u32, candidates: &[Candidate<'_>]) -> Balancer {
        if matches!(self.table, Table::Ring(_) | Table::Maglev(_)) && factor > 0 {
            self.bound = Some(Box::new(Bound::new(factor, candidates.iter().map(|candidate| candidate.weight))));
        }
        self
    }

    /// The position of a candidate; `None`: there are none. `random` is evenly distributed; `hash` is the request's, or a
    /// random number where it has nothing to hash; `load` tells how many requests a candidate has open, `open` how many
    /// all of them have.
    #[inline]
    pub fn pick(&mut self, random: u64, hash: u64, open: u32, load: impl Fn(usize) -> u32) -> Option<usize> {
        if self.count == 0 {
            return None;
        }
        Some(match &mut self.table {
            Table::RoundRobin(weighted) => weighted.in_turn(),
            Table::Random(weighted) => weighted.at_random(random as u32),
            Table::LeastRequest(weighted) => {
                let (one, other) = (weighted.at_random(random as u32), weighted.at_random((random >> 32) as u32));
                // load / weight, compared without dividing.
                let cost = |of: usize, against: usize| u64::from(load(of)) * u64::from(weighted.weight(against));
                if cost(other, one) < cost(one, other) { other } else { one }
            }
            Table::Ring(ring) => match &self.bound {
                None => ring.find(hash),
                Some(bound) => bound.first(ring.walk(hash), open, load),
            },
            Table::Maglev(maglev) => match &self.bound {
                None => maglev.find(hash),
                Some(bound) => bound.first(maglev.walk(hash), open, load),
            },
        })
    }

    /// How many candidates there are.
    pub fn len(&self) -> usize {
        self.count
    }
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn candidates<'a>(names: &'a [String], weights: &[u32]) -> Vec<Candidate<'a>> {
        let named = names.iter().zip(weights.iter().cycle());
        named.map(|(name, &weight)| Candidate { weight, name: name.as_bytes() }).collect()
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|number| format!("10.0.{}.{}:50051", number / 256, number % 256)).collect()
    }

    /// A deterministic stream of evenly distributed numbers (splitmix64).
    fn numbers() -> impl Iterator<Item = u64> {
        let mut state = 7u64;
        std::iter::repeat_with(move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        })
    }

    fn shares(policy: Policy, weights: &[u32], picks: usize) -> Vec<usize> {
        let names = names(weights.len());
        let mut balancer = Balancer::new(policy, &candidates(&names, weights), 0);
        let mut counts = vec![0; weights.len()];
        for number in numbers().take(picks) {
            counts[balancer.pick(number, number, 0, |_| 0).unwrap()] += 1;
        }
        counts
    }

    #[test]
    fn nothing_to_pick_from() {
        for policy in [Policy::RoundRobin, Policy::LeastRequest, Policy::Random, Policy::RingHash, Policy::Maglev] {
            assert_eq!(Balancer::new(policy, &[], 3).pick(1, 1, 0, |_| 0), None);
            assert_eq!(shares(policy, &[5], 10), [10]);
        }
    }

    #[test]
    fn hashing_and_random_policies_follow_weights() {
        for policy in [Policy::LeastRequest, Policy::Random, Policy::RingHash, Policy::Maglev] {
            let counts = shares(policy, &[1, 2, 3], 60_000);
            for (count, weight) in counts.iter().zip(1..) {
                let expected = 10_000 * weight;
                let off = (*count as f64 - f64::from(expected)).abs() / f64::from(expected);
                assert!(off < 0.15, "{policy:?}: {counts:?}");
            }
        }
    }

    #[test]
    fn the_less_loaded_of_two_is_taken() {
        let names = names(2);
        let mut balancer = Balancer::new(Policy::LeastRequest, &candidates(&names, &[1]), 0);
        let busy = |at: usize| if at == 0 { 9 } else { 0 };
        let first = numbers().take(1_000).filter(|&number| balancer.pick(number, 0, 9, busy) == Some(0)).count();
        assert!((200..300).contains(&first), "only where both choices fell on it: {first}");
    }

    #[test]
    fn an_endpoint_less_moves_only_its_own_requests() {
        let all = names(20);
        let fewer: Vec<String> = all.iter().filter(|name| **name != all[7]).cloned().collect();
        for policy in [Policy::RingHash, Policy::Maglev] {
            let mut before = Balancer::new(policy, &candidates(&all, &[1]), 0);
            let mut after = Balancer::new(policy, &candidates(&fewer, &[1]), 0);
            let moved = numbers().take(10_000).filter(|&hash| {
                let (was, is) = (before.pick(0, hash, 0, |_| 0).unwrap(), after.pick(0, hash, 0, |_| 0).unwrap());
                was != 7 && all[was] != fewer[is]
            });
            let moved = moved.count();
            assert!(moved < if policy == Policy::RingHash { 1 } else { 500 }, "{policy:?}: {moved}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(50))]

        /// However unevenly the candidates stand in the order of a hash.
        #[test]
        fn a_bound_holds_for_every_order(count in 2usize..20, factor in 100u32..200, hash: u64, calls in 1u32..100) {
            let names = names(count);
            let candidates = candidates(&names, &[1]);
            for policy in [Policy::RingHash, Policy::Maglev] {
                let mut balancer = Balancer::new(policy, &candidates, 0).bounded(factor, &candidates);
                let mut loads = vec![0u32; count];
                for open in 0..calls {
                    let at = balancer.pick(0, hash, open, |at| loads[at]).unwrap();
                    loads[at] += 1;
                    prop_assert!(loads[at] <= ((open + 1) * factor).div_ceil(100 * count as u32), "{policy:?}: {loads:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_round_is_exact(weights in proptest::collection::vec(1u32..20, 1..40), start: u64) {
            let names = names(weights.len());
            let mut balancer = Balancer::new(Policy::RoundRobin, &candidates(&names, &weights), start);
            let total: u32 = weights.iter().sum();
            for _ in 0..3 {
                let mut counts = vec![0; weights.len()];
                for _ in 0..total {
                    counts[balancer.pick(0, 0, 0, |_| 0).unwrap()] += 1;
                }
                prop_assert_eq!(&counts, &weights);
            }
        }
    }
}
