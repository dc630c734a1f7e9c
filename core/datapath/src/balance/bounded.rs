//! Consistent hashing with bounded loads (Mirrokni, Thorup and Zadimoghaddam, SODA 2018; Envoy's `hash_balance_factor`).
//!
//! A candidate has room while it has fewer requests than its weight's part of the average, times the factor, the request
//! that is to be placed counted in. One without room is passed over for the next in the order of the request's hash, so
//! that a hash goes on leading to the same few candidates. With a factor `f` the candidates without room hold at most
//! `1 / f` of all weight: a request meets fewer than `f / (f - 1)` of them on average, however many there are.

/// Places of the order that are looked at, where a candidate may stand again and again; with a factor of 125 % one request
/// in a thousand looks further: at every candidate, each once.
const MOST_PROBES: usize = 32;

#[derive(Debug)]
pub struct Bound {
    /// In hundredths.
    factor: u64,
    weights: Vec<u32>,
    total: u64,
}

impl Bound {
    pub fn new(factor: u32, weights: impl Iterator<Item = u32>) -> Bound {
        let weights: Vec<u32> = weights.map(|weight| weight.max(1)).collect();
        let total = weights.iter().map(|&weight| u64::from(weight)).sum();
        Bound { factor: u64::from(factor.max(100)), weights, total }
    }

    /// Requests that a candidate may have when one more is placed beside `open` others.
    fn capacity(&self, at: usize, open: u32) -> u64 {
        let share = (u64::from(open) + 1).saturating_mul(self.factor).saturating_mul(u64::from(self.weights[at]));
        share.div_ceil(self.total * 100)
    }

    /// The first of `order` that has room; where none of the first few places has, the next candidate by number behind the
    /// last of them. `open` is the number of requests at all candidates together, so that somebody has room; where the
    /// counts contradict each other, it is whoever is over by least. There has to be a candidate.
    pub fn first(&self, order: impl Iterator<Item = usize>, open: u32, load: impl Fn(usize) -> u32) -> usize {
        let over = |at: usize| (u64::from(load(at)) + 1).saturating_sub(self.capacity(at, open));
        let mut last = 0;
        for at in order.take(MOST_PROBES) {
            if over(at) == 0 {
                return at;
            }
            last = at;
        }
        let count = self.weights.len();
        let mut least = (u64::MAX, last);
        for at in (last + 1..count).chain(0..=last) {
            least = least.min((over(at), at));
            if least.0 == 0 {
                break;
            }
        }
        least.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_next_takes_what_is_too_much() {
        let bound = Bound::new(150, [1, 1, 1].into_iter());
        // Six others are open, so with this one each may have 7 / 3 * 1.5, rounded up.
        let loads = [4, 3, 0];
        assert_eq!(bound.first([0, 1, 2].into_iter(), 6, |at| loads[at]), 1);
        assert_eq!(bound.first([1, 0, 2].into_iter(), 6, |at| loads[at]), 1);
        assert_eq!(bound.first([0; 99].into_iter(), 6, |at| loads[at]), 1, "the next that has room");
        assert_eq!(bound.first([0, 1, 2].into_iter(), 6, |at| [9, 8, 9][at]), 1, "over by least");
    }

    #[test]
    fn weights_count() {
        let bound = Bound::new(100, [3, 1].into_iter());
        assert_eq!(bound.first([0, 1].into_iter(), 3, |at| [2, 1][at]), 0);
        assert_eq!(bound.first([1, 0].into_iter(), 3, |at| [2, 1][at]), 0);
    }

    proptest! {
        /// Whatever hashes come, and in whatever order requests end, nobody gets more than its bound.
        #[test]
        fn nobody_has_more_than_the_bound(
            factor in 100u32..300,
            weights in proptest::collection::vec(1u32..4, 1..10),
            steps in proptest::collection::vec((any::<u16>(), any::<bool>()), 1..300),
        ) {
            let bound = Bound::new(factor, weights.iter().copied());
            let count = weights.len();
            let mut loads = vec![0u32; count];
            for (number, ends) in steps {
                let first = usize::from(number) % count;
                if ends && loads[first] > 0 {
                    loads[first] -= 1;
                    continue;
                }
                let open: u32 = loads.iter().sum();
                let order = (0..count).map(|step| (first + step) % count);
                let at = bound.first(order, open, |at| loads[at]);
                loads[at] += 1;
                prop_assert!(u64::from(loads[at]) <= bound.capacity(at, open), "{loads:?} of {weights:?}");
            }
        }
    }
}
