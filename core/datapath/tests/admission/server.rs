//! A server that works on so many calls at once and queues the others, its clients, and the limit between them: a queueing
//! model in virtual time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use tidegate_datapath::admission::gradient::{Finished, Gradient, Settings};

pub(crate) const MILLISECOND: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MILLISECOND;

pub(crate) const DEFAULTS: Settings = Settings { minimum: 3, maximum: 1000, initial: 20, tolerance_percent: 150 };

/// What a call takes once it is worked on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Service {
    Fixed,
    /// Exponentially distributed.
    Random,
    /// One call in ten takes ten times as long as the others; the mean stays.
    Mixed,
}

pub(crate) struct World {
    pub(crate) gradient: Gradient,
    pub(crate) now_ns: u64,
    pub(crate) slots: usize,
    pub(crate) service_ns: u64,
    pub(crate) service: Service,
    random: u64,
    /// (when it ends, when it came)
    working: BinaryHeap<Reverse<(u64, u64)>>,
    queue: VecDeque<u64>,
    next_arrival_ns: u64,
}

/// What happened in a stretch of time.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) offered: usize,
    pub(crate) refused: usize,
    pub(crate) took_ns: Vec<u64>,
    pub(crate) least_limit: u32,
    pub(crate) greatest_limit: u32,
}

impl Seen {
    pub(crate) fn percentile_ns(&self, percent: usize) -> u64 {
        let mut sorted = self.took_ns.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() - 1) * percent / 100]
    }
}

impl World {
    pub(crate) fn new(slots: usize, service_ns: u64, service: Service, settings: Settings) -> World {
        World {
            gradient: Gradient::new(settings),
            now_ns: SECOND,
            slots,
            service_ns,
            service,
            random: 7,
            working: BinaryHeap::new(),
            queue: VecDeque::new(),
            next_arrival_ns: SECOND,
        }
    }

    /// Calls a second that the server can answer.
    pub(crate) fn capacity(&self) -> f64 {
        self.slots as f64 * SECOND as f64 / self.service_ns as f64
    }

    /// Calls come at random, so many a second, for a while.
    pub(crate) fn run(&mut self, seconds: f64, calls_per_second: f64) -> Seen {
        let until_ns = self.now_ns + (seconds * SECOND as f64) as u64;
        let mut seen = Seen { least_limit: u32::MAX, ..Seen::default() };
        self.next_arrival_ns = self.now_ns + self.gap(calls_per_second);
        loop {
            let ends_ns = self.working.peek().map_or(u64::MAX, |Reverse((ends_ns, _))| *ends_ns);
            let next_ns = ends_ns.min(self.next_arrival_ns);
            if next_ns > until_ns {
                break;
            }
            self.now_ns = next_ns;
            if ends_ns == next_ns {
                self.finish(&mut seen);
            } else {
                self.arrive(&mut seen);
                self.next_arrival_ns = self.now_ns + self.gap(calls_per_second);
            }
            let limit = self.gradient.limit();
            seen.least_limit = seen.least_limit.min(limit);
            seen.greatest_limit = seen.greatest_limit.max(limit);
        }
        self.now_ns = until_ns;
        seen
    }

    fn arrive(&mut self, seen: &mut Seen) {
        seen.offered += 1;
        let under_way = (self.working.len() + self.queue.len()) as u32;
        let limit = self.gradient.limit();
        if under_way >= limit {
            seen.refused += 1;
            self.gradient.report(self.now_ns, &[], limit);
            return;
        }
        self.gradient.report(self.now_ns, &[], under_way + 1);
        self.queue.push_back(self.now_ns);
        self.work();
    }

    fn finish(&mut self, seen: &mut Seen) {
        let Some(Reverse((_, came_ns))) = self.working.pop() else { return };
        let took_ns = self.now_ns - came_ns;
        seen.took_ns.push(took_ns);
        self.gradient.report(self.now_ns, &[Finished { took_ns, answered: true }], 0);
        self.work();
    }

    fn work(&mut self) {
        while self.working.len() < self.slots
            && let Some(came_ns) = self.queue.pop_front()
        {
            let (mean, random) = (self.service_ns as f64, self.uniform());
            let takes = match self.service {
                Service::Fixed => mean,
                Service::Random => -mean * (1.0 - random).ln(),
                Service::Mixed if random < 0.1 => mean * 10.0 / 1.9,
                Service::Mixed => mean / 1.9,
            };
            self.working.push(Reverse((self.now_ns + takes as u64 + 1, came_ns)));
        }
    }

    fn gap(&mut self, calls_per_second: f64) -> u64 {
        (-(1.0 - self.uniform()).ln() * SECOND as f64 / calls_per_second) as u64 + 1
    }

    /// In [0, 1): splitmix64.
    fn uniform(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ self.random >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }
}
