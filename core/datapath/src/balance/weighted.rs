//! Turns and dice, by weight.
//!
//! Candidates of one weight form a class. Among classes the one whose next turn is due first has it (earliest deadline
//! first, over virtual time: a class of weight `w` with `n` members has a turn every `1 / (w n)`); within a class the
//! members take turns. So each candidate gets exactly its weight in every round, spread evenly over it, and a turn costs
//! what the number of different weights costs, not that of the candidates.

/// Different weights are told apart up to this many; finer differences are rounded.
const MOST_CLASSES: usize = 128;

#[derive(Debug)]
struct Class {
    weight: u32,
    members: Vec<u32>,
    /// Whose turn is next.
    cursor: usize,
    /// Turns that it has had in this round, and has in all of it.
    taken: u64,
    turns: u64,
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
                _ => classes.push(Class { weight, members: vec![at], cursor: 0, taken: 0, turns: 0 }),
            }
        }
        for class in &mut classes {
            class.turns = u64::from(class.weight) * class.members.len() as u64;
            class.cursor = (start % class.members.len() as u64) as usize;
        }
        let total = classes.iter().map(|class| class.turns).sum();
        Weighted { classes, weights, total, taken: 0 }
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

    /// The class that is furthest behind what it should have had by now.
    fn due(&mut self) -> &mut Class {
        if self.taken == self.total {
            self.taken = 0;
            for class in &mut self.classes {
                class.taken = 0;
            }
        }
        self.taken += 1;
        // Deadline of a class's next turn: (taken + 1) / turns, compared crosswise; of equals the heavier one.
        let mut due = 0;
        for at in 1..self.classes.len() {
            let (one, other) = (&self.classes[due], &self.classes[at]);
            let earlier = u128::from(other.taken + 1) * u128::from(one.turns)
                < u128::from(one.taken + 1) * u128::from(other.turns);
            if earlier {
                due = at;
            }
        }
        let class = &mut self.classes[due];
        class.taken += 1;
        class
    }

    /// A candidate for an evenly distributed number. There has to be one.
    #[inline]
    pub fn at_random(&self, random: u32) -> usize {
        let mut point = u64::from(random).wrapping_mul(self.total.min(u64::from(u32::MAX))) >> 32;
        for class in &self.classes {
            if point < class.turns {
                return class.members[(point / u64::from(class.weight)) as usize] as usize;
            }
            point -= class.turns;
        }
        self.classes.last().and_then(|class| class.members.last()).map_or(0, |&at| at as usize)
    }
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

    #[test]
    fn turns_are_spread_over_the_round() {
        let mut weighted = Weighted::new([4, 1, 1].into_iter(), 0);
        let turns: Vec<usize> = (0..12).map(|_| weighted.in_turn()).collect();
        let gaps = turns.windows(4).filter(|window| !window.contains(&0)).count();
        assert_eq!(gaps, 0, "{turns:?}");
    }

    #[test]
    fn many_different_weights_are_rounded() {
        let weighted = Weighted::new(1..=10_000, 0);
        assert!(weighted.classes.len() <= MOST_CLASSES);
        assert_eq!(weighted.weight(9_999), MOST_CLASSES as u32);
        assert_eq!(weighted.weight(0), 1);
    }
}
