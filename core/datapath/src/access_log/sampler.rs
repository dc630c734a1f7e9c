/// Decides which requests a worker logs: all that failed, and so many a second of those that succeeded.
#[derive(Debug, Clone)]
pub struct Sampler {
    /// 0 is no limit.
    rate: u32,
    second: u64,
    admitted: u32,
    passed_over: u64,
}

impl Sampler {
    /// `rate`: successes a second.
    pub fn new(rate: u32) -> Sampler {
        Sampler { rate, second: 0, admitted: 0, passed_over: 0 }
    }

    /// Whether to log a request that finished at `now_ns` of any clock that does not go back.
    pub fn admit(&mut self, now_ns: u64, has_failed: bool) -> bool {
        if has_failed || self.rate == 0 {
            return true;
        }
        let second = now_ns / 1_000_000_000;
        if second != self.second {
            self.second = second;
            self.admitted = 0;
        }
        if self.admitted < self.rate {
            self.admitted += 1;
            return true;
        }
        self.passed_over += 1;
        false
    }

    /// Successes that were not logged, for a counter.
    pub fn passed_over(&self) -> u64 {
        self.passed_over
    }
}
