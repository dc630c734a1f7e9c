//! A timing wheel for keys that want to be woken not before a time.
//!
//! One entry per key and nothing to cancel: who finishes early leaves the entry in place, and a later, longer time is
//! noticed when the entry comes up (the owner asks its key when it really is due and puts it back). A key remembers for
//! which tick it stands in the wheel, so that arming it again for a later time costs a comparison. A time beyond the wheel's
//! span comes up once each turn. So a million requests a second with a deadline each leave no trail of dead timers.

const SLOTS: u64 = 4096;
/// Milliseconds of one tick: deadlines are kept to within one.
pub const TICK_MS: u64 = 8;

/// When a key stands in the wheel; 0: not at all. Kept by the key's owner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Armed(u64);

#[derive(Debug)]
pub struct Wheel<K> {
    slots: Vec<Vec<(K, u64)>>,
    /// The tick up to which everything came up.
    now: u64,
    length: usize,
    /// No entry comes up before this tick.
    earliest: u64,
}

impl<K: Copy> Wheel<K> {
    /// `now_ms` is milliseconds of any clock that only goes forward.
    pub fn new(now_ms: u64) -> Self {
        Wheel { slots: (0..SLOTS).map(|_| Vec::new()).collect(), now: now_ms / TICK_MS, length: 0, earliest: 0 }
    }

    /// Makes sure that `key` comes up at `at_ms` or, where it already stands earlier, before.
    #[inline]
    pub fn arm(&mut self, armed: &mut Armed, key: K, at_ms: u64) {
        let tick = (at_ms / TICK_MS + 1).clamp(self.now + 1, self.now + SLOTS - 1);
        if armed.0 > self.now && armed.0 <= tick {
            return;
        }
        armed.0 = tick;
        self.earliest = if self.length == 0 { tick } else { self.earliest.min(tick) };
        self.slots[(tick % SLOTS) as usize].push((key, tick));
        self.length += 1;
    }

    /// Takes out what is due at `now_ms`, with the tick that it stood for. An entry counts only if its key's
    /// `Armed::take` agrees.
    pub fn advance(&mut self, now_ms: u64, due: &mut Vec<(K, u64)>) {
        let until = now_ms / TICK_MS;
        if self.length == 0 || until < self.earliest {
            self.now = self.now.max(until);
            return;
        }
        let from = self.now.max(until.saturating_sub(SLOTS));
        for tick in from + 1..=until {
            let slot = &mut self.slots[(tick % SLOTS) as usize];
            self.length -= slot.len();
            due.append(slot);
        }
        self.now = self.now.max(until);
        let mut ticks = self.now + 1..self.now + SLOTS;
        self.earliest = ticks.find(|tick| !self.slots[(tick % SLOTS) as usize].is_empty()).unwrap_or(self.now + 1);
    }

    /// Milliseconds until the next entry may come up; `None`: the wheel is empty.
    pub fn next_ms(&self, now_ms: u64) -> Option<u64> {
        (self.length > 0).then(|| (self.earliest * TICK_MS).saturating_sub(now_ms))
    }
}

impl Armed {
    /// Whether an entry that came up for `tick` is the key's own; if so the key stands in the wheel no longer.
    pub fn take(&mut self, tick: u64) -> bool {
        let current = self.0 == tick;
        if current {
            self.0 = 0;
        }
        current
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_earlier_time_outranks_a_later_one() {
        let (mut wheel, mut armed) = (Wheel::new(1_000), Armed::default());
        wheel.arm(&mut armed, 'a', 9_000);
        wheel.arm(&mut armed, 'a', 2_000);
        let mut due = Vec::new();
        wheel.advance(2_016, &mut due);
        assert_eq!(due.len(), 1);
        assert!(armed.take(due[0].1));
        due.clear();
        wheel.advance(60_000, &mut due);
        assert!(due.iter().all(|&(_, tick)| !armed.take(tick)), "the entry left behind is nobody's");
    }

    proptest! {
        #[test]
        fn nothing_comes_up_early_and_nothing_is_lost(times in proptest::collection::vec(1u64..100_000, 1..50), step in 1u64..5_000) {
            let mut wheel = Wheel::new(0);
            let mut armed = vec![Armed::default(); times.len()];
            for (key, &at) in times.iter().enumerate() {
                wheel.arm(&mut armed[key], key, at);
            }
            let (mut fired, mut now, mut due) = (vec![None; times.len()], 0, Vec::new());
            while now < 110_000 {
                now += step;
                wheel.advance(now, &mut due);
                for (key, tick) in due.drain(..) {
                    if !armed[key].take(tick) { continue; }
                    if now < times[key] { wheel.arm(&mut armed[key], key, times[key]); } else { fired[key] = Some(now); }
                }
            }
            for (key, &at) in times.iter().enumerate() {
                let at_last = fired[key].expect("came up");
                prop_assert!(at_last >= at && at_last <= at + step + 2 * TICK_MS);
            }
        }
    }
}
