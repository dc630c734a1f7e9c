//! Requests by method and backend: how they ended and how long they took.

use super::counters::bump;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Upper bounds of the duration buckets: 2^n microseconds from 64 us to 67 s, and all.
const FIRST_BOUND_LOG2: u32 = 6;
const BUCKETS: usize = 22;
/// gRPC has the codes 0 to 16.
const GRPC_CODES: usize = 17;

/// How a request ended: a gRPC status, or the first digit of an HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Grpc(u8),
    Http(u16),
}

#[derive(Debug)]
pub struct Series {
    pub method: Box<str>,
    pub backend: Box<str>,
    grpc: [AtomicU64; GRPC_CODES],
    http: [AtomicU64; 6],
    durations: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
}

impl Series {
    pub fn new(method: &str, backend: &str) -> Self {
        Series {
            method: method.into(),
            backend: backend.into(),
            grpc: Default::default(),
            http: Default::default(),
            durations: Default::default(),
            nanoseconds: AtomicU64::new(0),
        }
    }

    /// To be called by the owning worker alone.
    #[inline]
    pub fn record(&self, code: Code, nanoseconds: u64) {
        match code {
            Code::Grpc(code) => bump(&self.grpc[(code as usize).min(GRPC_CODES - 1)], 1),
            Code::Http(status) => bump(&self.http[(status as usize / 100).min(5)], 1),
        }
        bump(&self.durations[bucket(nanoseconds)], 1);
        bump(&self.nanoseconds, nanoseconds);
    }

    /// (label, count) of the codes that occurred.
    pub fn codes(&self) -> Vec<(String, u64)> {
        let named = |name: String, count: &AtomicU64| Some((name, count.load(Relaxed))).filter(|(_, count)| *count > 0);
        let grpc = self.grpc.iter().enumerate().filter_map(|(code, count)| named(GRPC_NAMES[code].to_owned(), count));
        let http = self.http.iter().enumerate().filter_map(|(class, count)| named(format!("{class}xx"), count));
        grpc.chain(http).collect()
    }

    pub fn calls(&self) -> u64 {
        self.durations().iter().sum()
    }

    /// Requests in each bucket, not added up.
    pub fn durations(&self) -> [u64; BUCKETS] {
        std::array::from_fn(|index| self.durations[index].load(Relaxed))
    }

    pub fn seconds(&self) -> f64 {
        self.nanoseconds.load(Relaxed) as f64 / 1e9
    }
}

/// Upper bounds in seconds; the last bucket has none.
pub fn bounds() -> impl Iterator<Item = f64> {
    (0..BUCKETS as u32 - 1).map(|bucket| 2f64.powi((FIRST_BOUND_LOG2 + bucket) as i32) / 1e6)
}

#[inline]
fn bucket(nanoseconds: u64) -> usize {
    let microseconds = nanoseconds / 1_000;
    let log2 = u64::BITS - microseconds.saturating_sub(1).leading_zeros();
    (log2.saturating_sub(FIRST_BOUND_LOG2) as usize).min(BUCKETS - 1)
}

/// As gRPC spells them.
pub const GRPC_NAMES: [&str; GRPC_CODES] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_bucket_that_bounds_it() {
        let bounds: Vec<f64> = bounds().collect();
        for nanoseconds in [0, 1, 64_000, 64_001, 1_000_000, 1_500_000, 999_999_999, 60_000_000_000, 1 << 60] {
            let seconds = nanoseconds as f64 / 1e9;
            let index = bucket(nanoseconds);
            assert!(index == bounds.len() || seconds <= bounds[index] + 1e-6, "{nanoseconds} in {index}");
            assert!(index == 0 || seconds >= bounds[index - 1], "{nanoseconds} in {index}");
        }
    }
}
