//! The time, read once in each turn of the loop.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// Nanoseconds and milliseconds since the worker began; they never go backwards.
    pub(crate) now_ns: u64,
    pub(crate) now_ms: u64,
    /// Seconds since 1970, for tokens and the `date` field.
    pub(crate) unix: u64,
    unix_read_ms: u64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Clock { start: Instant::now(), now_ns: 0, now_ms: 0, unix: unix_now(), unix_read_ms: 0 }
    }

    #[inline]
    pub(crate) fn tick(&mut self) {
        self.now_ns = self.start.elapsed().as_nanos() as u64;
        self.now_ms = self.now_ns / 1_000_000;
        if self.now_ms - self.unix_read_ms >= 100 {
            self.unix_read_ms = self.now_ms;
            self.unix = unix_now();
        }
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
