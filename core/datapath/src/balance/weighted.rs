//! Turns and dice, by weight.
//!
//! Candidates of one weight form a class. Among classes the one whose next turn is due first has it (earliest deadline
//! first, over virtual time: a class of weight `w` with `n` members has a turn every `1 / (w n)`); within a class the
//! members take turns. So each candidate gets exactly its weight in every round, spread evenly over it, and a turn costs
//! what the number of different weights costs, not that of the candidates.
//!
//! `start` says where in the round the first turn is: a table that is made anew before its round is over would else never
//! come to those of little weight.

/// Different weights are told apart up to this many; finer differences are rounded.
const MOST_CLASSES: usize = 128;
/// Virtual time of a round. Strides are rounded down, which makes no turn too many while a class has fewer than 2^31.
const ROUND: u64 = 1 << 62;

#[derive(Debug)]
struct Class {
    weight: u32,
    members: Vec<u32>,
    /// Whose turn is next.
    cursor: usize,
    /// Turns that it has in a round.
    turns: u64,
    /// Virtual time between two of its turns, and at the next.
    stride: u64,
    next: u64,
}

#[derive(Debug)]
pub struct Weighted {
    classes: Vec<Class>,
    weights: Vec<u32>,
    /// Sum of all weights.
    total: u64,
    /// Turns in this round.
    taken: u64,
}

impl Weighted {
    pub fn new(weights: impl Iterator<Item = u32>, start: u64) -> Weighted {
        let mut weights: Vec<u32> = weights.map(|weight| weight.max(1)).collect();
        limit_classes(&mut weights);
        let mut classes: Vec<Class> = Vec::new();
        let mut order: Vec<u32> = (0..weights.len() as u32).collect();
        if weights.windows(2).any(|pair| pair[0] != pair[1]) {
            order.sort_by_key(|&at| std::cmp::Reverse(weights[at as usize]));
        }
        for at in order {
            let weight = weights[at as usize];
            match classes.last_mut() {
                Some(class) if class.weight == weight => class.members.push(at),
                _ => {
                    classes.push(Class { weight, members: vec![at], cursor: 0, turns: 0, stride: 0, next: 0 });
                }
            }
        }
        for class in &mut classes {
            class.turns = u64::from(class.weight) * class.members.len() as u64;
            class.cursor = (start % class.members.len() as u64) as usize;
            class.stride = ROUND / class.turns;
        }
        let total = classes.iter().map(|class| class.turns).sum();
        let taken = begin(&mut classes, part_of(total, start));
        Weighted { classes, weights, total, taken }
    }

    #[inline]
    pub fn weight(&self, at: usize) -> u32 {
        self.weights[at]
    }

    /// The candidate whose turn it is. There has to be one.
    #[inline]
    pub fn in_turn(&mut self) -> usize {
        let class = match self.classes.as_mut_slice() {
            [only] => only,
            _ => self.due(),
        };
        let at = class.members[class.cursor];
        class.cursor = if class.cursor + 1 == class.members.len() { 0 } else { class.cursor + 1 };
        at as usize
    }

    /// The class whose next turn comes first; of equals the heavier one.
    fn due(&mut self) -> &mut Class {
        if self.taken == self.total {
            self.taken = 0;
            for class in &mut self.classes {
                class.next = class.stride;
            }
        }
        self.taken += 1;
        let (mut due, mut earliest) = (0, u64::MAX);
        for (at, class) in self.classes.iter().enumerate() {
            if class.next < earliest {
                (due, earliest) = (at, class.next);
            }
        }
        let class = &mut self.classes[due];
        class.next += class.stride;
        class
    }

    /// A candidate for an evenly distributed number. There has to be one.
    #[inline]
    pub fn at_random(&self, random: u32) -> usize {
        let mut point = part_of(self.total, u64::from(random) << 32);
        for class in &self.classes {
            if point < class.turns {
                return class.members[(point / u64::from(class.weight)) as usize] as usize;
            }
            point -= class.turns;
        }
        self.classes.last().and_then(|class| class.members.last()).map_or(0, |&at| at as usize)
    }
}

/// Goes to some turn of the round, as likely one of a class as its weight says; returns how many come before it.
fn begin(classes: &mut [Class], mut turn: u64) -> u64 {
    let mut chosen = 0;
    while chosen + 1 < classes.len() && turn >= classes[chosen].turns {
        turn -= classes[chosen].turns;
        chosen += 1;
    }
    let Some(time) = classes.get(chosen).map(|class| (turn + 1) * class.stride) else { return 0 };
    let mut taken = 0;
    for (at, class) in classes.iter_mut().enumerate() {
        // Of turns at the same time those of heavier classes, which stand before, were first.
        let before = if at < chosen { time / class.stride } else { (time - 1) / class.stride };
        let before = before.min(class.turns);
        taken += before;
        class.next = (before + 1) * class.stride;
    }
    taken
}

/// `of` times a fraction in units of 2^-64.
#[inline]
fn part_of(of: u64, fraction: u64) -> u64 {
    ((u128::from(of) * u128::from(fraction)) >> 64) as u64
}

/// Rounds weights until there are few enough different ones.
fn limit_classes(weights: &mut [u32]) {
    let mut different: Vec<u32> = weights.to_vec();
    different.sort_unstable();
    different.dedup();
    if different.len() <= MOST_CLASSES {
        return;
    }
    let largest = different.last().copied().unwrap_or(1).max(1);
    for weight in weights {
        let scaled = (u64::from(*weight) * MOST_CLASSES as u64).div_ceil(u64::from(largest));
        *weight = scaled.max(1) as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn turns_are_spread_over_the_round() {
        let mut weighted = Weighted::new([4, 1, 1].into_iter(), 0);
        let turns: Vec<usize> = (0..12).map(|_| weighted.in_turn()).collect();
        let gaps = turns.windows(4).filter(|window| !window.contains(&0)).count();
        assert_eq!(gaps, 0, "{turns:?}");
    }

    #[test]
    fn those_of_little_weight_are_not_always_last() {
        let begins_with = |start| Weighted::new([100, 100, 100, 10].into_iter(), start).in_turn() == 3;
        let first = (0..1_000u64).filter(|number| begins_with(u64::MAX / 1_000 * number)).count();
        assert!((28..=37).contains(&first), "{first} of a thousand first turns, where 32 would be its part");
    }

    proptest! {
        #[test]
        fn a_round_is_exact_wherever_it_begins(weights in proptest::collection::vec(1u32..50, 1..20), start: u64) {
            let mut weighted = Weighted::new(weights.iter().copied(), start);
            let round: u32 = weights.iter().sum();
            for _ in 0..3 {
                let mut counts = vec![0; weights.len()];
                (0..round).for_each(|_| counts[weighted.in_turn()] += 1);
                prop_assert_eq!(&counts, &weights);
            }
        }
    }

    #[test]
    fn many_different_weights_are_rounded() {
        let weighted = Weighted::new(1..=10_000, 0);
        assert!(weighted.classes.len() <= MOST_CLASSES);
        assert_eq!(weighted.weight(9_999), MOST_CLASSES as u32);
        assert_eq!(weighted.weight(0), 1);
    }
}
