//! Maglev's consistent hashing (Eisenbud et al., NSDI 2016, section 3.4): each endpoint fills the places of a table in an
//! order of its own, in turns, until the table is full. A request's hash is a place.

use super::Candidate;
use crate::bytes::hash::hash;

/// A prime well above a hundred times the number of endpoints that it is meant for (the paper's M, Envoy's default).
const PLACES: usize = 65_537;
const FREE: u32 = u32::MAX;
const SEEDS: [u64; 2] = [0x6d61_676c, 0x6576_0001];

#[derive(Debug)]
pub struct Maglev {
    places: Vec<u32>,
}

struct Walker {
    next: usize,
    skip: usize,
    /// Its share of a round's turns, and what it has of them (the heaviest has all).
    share: f64,
    credit: f64,
}

impl Maglev {
    pub fn new(candidates: &[Candidate<'_>]) -> Maglev {
        let mut places = vec![FREE; PLACES];
        if candidates.is_empty() {
            return Maglev { places: Vec::new() };
        }
        let heaviest = candidates.iter().map(|candidate| candidate.weight.max(1)).max().unwrap_or(1);
        let mut walkers: Vec<Walker> = candidates
            .iter()
            .map(|candidate| Walker {
                next: (hash(SEEDS[0], candidate.name) % PLACES as u64) as usize,
                skip: (hash(SEEDS[1], candidate.name) % (PLACES as u64 - 1)) as usize + 1,
                share: f64::from(candidate.weight.max(1)) / f64::from(heaviest),
                credit: 0.0,
            })
            .collect();
        let mut filled = 0;
        while filled < PLACES {
            for (at, walker) in (0u32..).zip(&mut walkers) {
                walker.credit += walker.share;
                if walker.credit < 1.0 || filled == PLACES {
                    continue;
                }
                walker.credit -= 1.0;
                while places[walker.next] != FREE {
                    walker.next = (walker.next + walker.skip) % PLACES;
                }
                places[walker.next] = at;
                filled += 1;
            }
        }
        Maglev { places }
    }

    /// The candidate that a request with this hash goes to. There has to be one.
    #[inline]
    pub fn find(&self, hash: u64) -> usize {
        self.places[place(hash)] as usize
    }

    /// That candidate and those of the places that follow, without end.
    pub fn walk(&self, hash: u64) -> impl Iterator<Item = usize> + '_ {
        let (before, after) = self.places.split_at(place(hash));
        after.iter().chain(before).cycle().map(|&candidate| candidate as usize)
    }
}

/// The upper bits of a product spread a hash over any number of places without a division.
#[inline]
fn place(hash: u64) -> usize {
    ((u128::from(hash) * PLACES as u128) >> 64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_even() {
        let names: Vec<String> = (0..100).map(|number| format!("10.0.0.{number}:1")).collect();
        let candidates: Vec<Candidate> =
            names.iter().map(|name| Candidate { weight: 1, name: name.as_bytes() }).collect();
        let maglev = Maglev::new(&candidates);
        let mut counts = vec![0usize; candidates.len()];
        for &at in &maglev.places {
            counts[at as usize] += 1;
        }
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(most - least <= 1, "{least} to {most} of {PLACES}");
        for hash in [0, 1 << 40, u64::MAX] {
            assert_eq!(maglev.walk(hash).next(), Some(maglev.find(hash)));
        }
    }
}
