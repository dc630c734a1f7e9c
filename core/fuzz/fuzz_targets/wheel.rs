//! The timing wheel against a list of times: nothing comes up early, late or twice, and the next time is never overslept.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use tidegate_datapath::bytes::wheel::{Armed, TICK_MS, Wheel};

const KEYS: usize = 8;

#[derive(Debug, Arbitrary)]
enum Step {
    /// A key is to be woken so many milliseconds from now; an earlier time that it had stands no longer.
    Set(u8, u16),
    Forget(u8),
    Pass(u16),
    /// Until the wheel says that something may be due.
    Sleep,
}

#[derive(Default, Clone, Copy)]
struct Key {
    armed: Armed,
    due: Option<u64>,
}

struct World {
    wheel: Wheel<usize>,
    keys: [Key; KEYS],
    now: u64,
}

impl World {
    fn set(&mut self, key: usize, at: u64) {
        self.keys[key].due = Some(at);
        self.wheel.arm(&mut self.keys[key].armed, key, at);
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += milliseconds;
        let mut due = Vec::new();
        self.wheel.advance(self.now, &mut due);
        for (key, tick) in due {
            if !self.keys[key].armed.take(tick) {
                continue;
            }
            match self.keys[key].due {
                Some(at) if at > self.now => self.wheel.arm(&mut self.keys[key].armed, key, at),
                _ => self.keys[key].due = None,
            }
        }
        for key in &self.keys {
            assert!(key.due.is_none_or(|at| at + 2 * TICK_MS > self.now), "overslept at {}: {:?}", self.now, key.due);
        }
    }
}

fuzz_target!(|input: (u16, Vec<Step>)| {
    let (start, steps) = input;
    let now = u64::from(start);
    let mut world = World { wheel: Wheel::new(now), keys: Default::default(), now };
    for step in &steps {
        match step {
            Step::Set(key, delay) => world.set(usize::from(*key) % KEYS, world.now + u64::from(*delay) * 2),
            Step::Forget(key) => world.keys[usize::from(*key) % KEYS].due = None,
            Step::Pass(milliseconds) => world.pass(u64::from(*milliseconds)),
            Step::Sleep => {
                let Some(wait) = world.wheel.next_ms(world.now) else {
                    assert!(world.keys.iter().all(|key| key.due.is_none()), "an empty wheel and somebody waits");
                    continue;
                };
                world.pass(wait);
            }
        }
    }
    for _ in 0..64 {
        world.pass(TICK_MS * 1024);
    }
    assert!(world.keys.iter().all(|key| key.due.is_none()), "lost");
    assert_eq!(world.wheel.next_ms(world.now), None, "entries that nobody takes out");
});
