//! The time, read once in each turn of the loop.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the wall clock is read.
const UNIX_EVERY_MS: u64 = 100;
/// What the clock shows at the beginning: 0 means "never" wherever a time is kept.
const FIRST: Duration = Duration::from_secs(1);
/// When the first worker began. All workers count from there: what they share has times too.
static START: OnceLock<Instant> = OnceLock::new();

#[derive(Debug)]
pub(crate) struct Clock {
    start: Instant,
    /// Nanoseconds and milliseconds since a second before the first worker began; they never go backwards.
    pub(crate) now_ns: u64,
    pub(crate) now_ms: u64,
    /// Seconds since 1970, for tokens and the `date` field.
    pub(crate) unix: u64,
    unix_read_ms: u64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        let mut clock = Clock {
            start: *START.get_or_init(Instant::now),
            now_ns: 0,
            now_ms: 0,
            unix: 0,
            unix_read_ms: 0u64.wrapping_sub(UNIX_EVERY_MS),
        };
        clock.tick();
        clock
    }

    #[inline]
    pub(crate) fn tick(&mut self) {
        self.now_ns = (FIRST + self.start.elapsed()).as_nanos() as u64;
        self.now_ms = self.now_ns / 1_000_000;
        if self.now_ms.wrapping_sub(self.unix_read_ms) >= UNIX_EVERY_MS {
            self.unix_read_ms = self.now_ms;
            self.unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_moment_is_never() {
        assert!(Clock::new().now_ms > 0);
    }
}
