//! Consistent hashing on a ring (Karger et al., 1997), as Envoy's RING_HASH has it: each endpoint stands on the ring as
//! often as its weight says, and a request goes to the next one clockwise.
//!
//! The points are evenly distributed, so a table of their first bits leads to within a step or two of the right one: a
//! look-up costs the same on every ring.

use super::Candidate;
use crate::bytes::hash::hash;

/// Points for each unit of weight, halved until all together are few enough: who comes or goes then moves nothing but its
/// own share, except where their sum doubles or halves.
const COPIES: u64 = 128;
const MOST: u64 = 1 << 17;
/// The same on every machine: gateways beside each other have to agree.
const SEED: u64 = 0x7469_6465;

#[derive(Debug)]
pub struct Ring {
    /// (place on the ring, candidate), in order.
    points: Vec<(u64, u32)>,
    /// For the first bits of a hash, the first point that does not lie before them.
    first: Vec<u32>,
    shift: u32,
}

impl Ring {
    pub fn new(candidates: &[Candidate<'_>]) -> Ring {
        let total: u64 = candidates.iter().map(|candidate| u64::from(candidate.weight.max(1))).sum();
        let mut halvings = 0;
        while (total * COPIES) >> halvings > MOST {
            halvings += 1;
        }
        let mut points = Vec::new();
        for (at, candidate) in (0u32..).zip(candidates) {
            let copies = ((u64::from(candidate.weight.max(1)) * COPIES) >> halvings).max(1);
            let name = hash(SEED, candidate.name);
            points.extend((0..copies).map(|copy| (hash(name, &copy.to_le_bytes()), at)));
        }
        points.sort_unstable();
        let bits = points.len().next_power_of_two().trailing_zeros().max(1);
        let shift = 64 - bits;
        let mut first = vec![0; 1 << bits];
        let mut point = 0;
        for (bucket, entry) in first.iter_mut().enumerate() {
            while points.get(point).is_some_and(|(place, _)| ((place >> shift) as usize) < bucket) {
                point += 1;
            }
            *entry = point as u32;
        }
        Ring { points, first, shift }
    }

    /// The candidate that a request with this hash goes to. There has to be one.
    #[inline]
    pub fn find(&self, hash: u64) -> usize {
        let at = self.next_point(hash);
        self.points.get(at).or(self.points.first()).map_or(0, |(_, candidate)| *candidate as usize)
    }

    /// That candidate and those that follow on the ring, each as often as it stands there, without end.
    pub fn walk(&self, hash: u64) -> impl Iterator<Item = usize> + '_ {
        let (before, after) = self.points.split_at(self.next_point(hash));
        after.iter().chain(before).cycle().map(|(_, candidate)| *candidate as usize)
    }

    #[inline]
    fn next_point(&self, hash: u64) -> usize {
        let mut at = self.first[(hash >> self.shift) as usize] as usize;
        while self.points.get(at).is_some_and(|(place, _)| *place < hash) {
            at += 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_look_up_finds_the_next_point(count in 1usize..200, hashes in proptest::collection::vec(any::<u64>(), 1..50)) {
            let names: Vec<String> = (0..count).map(|number| format!("10.0.0.{number}:1")).collect();
            let candidates: Vec<Candidate> =
                names.iter().map(|name| Candidate { weight: 1, name: name.as_bytes() }).collect();
            let ring = Ring::new(&candidates);
            for hash in hashes.into_iter().chain([0, u64::MAX]) {
                let next = ring.points.iter().find(|(place, _)| *place >= hash).unwrap_or(&ring.points[0]);
                prop_assert_eq!(ring.find(hash), next.1 as usize);
                prop_assert_eq!(ring.walk(hash).next(), Some(next.1 as usize));
            }
            let all: std::collections::HashSet<usize> = ring.walk(u64::MAX).take(ring.points.len()).collect();
            prop_assert_eq!(all.len(), count);
        }
    }
}
