//! From stream identifiers to slots.
//!
//! Open addressing with linear probing and deletion by moving entries up. Identifiers of a connection are consecutive odd
//! numbers; the multiplicative hash scatters them, since in a run of neighbours each deletion would walk the whole run.

const FIRST_SIZE: usize = 16;

/// Keys are not 0. Grows by doubling, stays at most half full.
#[derive(Debug)]
pub struct IdMap {
    entries: Box<[(u32, u32)]>,
    length: usize,
    shift: u32,
}

impl Default for IdMap {
    fn default() -> Self {
        IdMap { entries: Box::default(), length: 0, shift: 32 }
    }
}

impl IdMap {
    #[inline(always)]
    fn home(&self, id: u32) -> usize {
        (id.wrapping_mul(0x9E37_79B1) >> self.shift) as usize
    }

    pub fn len(&self) -> usize {
        self.length
    }
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    #[inline]
    pub fn get(&self, id: u32) -> Option<u32> {
        if self.length == 0 || id == 0 {
            return None;
        }
        let mask = self.entries.len() - 1;
        let mut at = self.home(id);
        loop {
            let (key, value) = self.entries[at & mask];
            if key == id {
                return Some(value);
            }
            if key == 0 {
                return None;
            }
            at += 1;
        }
    }

    pub fn insert(&mut self, id: u32, value: u32) {
        if (self.length + 1) * 2 > self.entries.len() {
            self.grow();
        }
        let mask = self.entries.len() - 1;
        let mut at = self.home(id) & mask;
        while self.entries[at].0 != 0 {
            if self.entries[at].0 == id {
                self.entries[at].1 = value;
                return;
            }
            at = (at + 1) & mask;
        }
        self.entries[at] = (id, value);
        self.length += 1;
    }

    pub fn remove(&mut self, id: u32) -> Option<u32> {
        if self.length == 0 || id == 0 {
            return None;
        }
        let mask = self.entries.len() - 1;
        let mut hole = self.home(id) & mask;
        while self.entries[hole].0 != id {
            if self.entries[hole].0 == 0 {
                return None;
            }
            hole = (hole + 1) & mask;
        }
        let value = self.entries[hole].1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let key = self.entries[at].0;
            if key == 0 {
                break;
            }
            let home = self.home(key) & mask;
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.entries[hole] = self.entries[at];
                hole = at;
            }
        }
        self.entries[hole].0 = 0;
        self.length -= 1;
        Some(value)
    }

    /// (id, value) of each entry, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.entries.iter().copied().filter(|entry| entry.0 != 0)
    }

    fn grow(&mut self) {
        let size = (self.entries.len() * 2).max(FIRST_SIZE);
        let old = std::mem::replace(&mut self.entries, vec![(0, 0); size].into_boxed_slice());
        self.shift = 32 - size.trailing_zeros();
        self.length = 0;
        for (id, value) in old {
            if id != 0 {
                self.insert(id, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn does_what_a_hash_map_does(steps in proptest::collection::vec((any::<bool>(), 1u32..200, any::<u32>()), 0..600)) {
            let (mut ours, mut model) = (IdMap::default(), HashMap::new());
            for (insert, id, value) in steps {
                if insert {
                    ours.insert(id, value);
                    model.insert(id, value);
                } else {
                    prop_assert_eq!(ours.remove(id), model.remove(&id));
                }
                prop_assert_eq!(ours.len(), model.len());
            }
            for id in 0..200 {
                prop_assert_eq!(ours.get(id), model.get(&id).copied());
            }
            prop_assert_eq!(ours.iter().collect::<HashMap<_, _>>(), model);
        }
    }
}
