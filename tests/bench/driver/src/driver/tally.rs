//! What became of the calls.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;
use serde_json::{Value, json};

const LONGEST_NANOSECONDS: u64 = 3_600_000_000_000;

/// Failed calls whose times are kept.
const MOST_FAILURES: usize = 10_000;

/// Why a call does not count as answered correctly. Its text is a key of `failed` in the result.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CallFailure {
    Connect,
    Connection,
    Reset(String),
    HttpStatus(u16),
    GrpcStatus(String),
    NoGrpcStatus,
    BodyMismatch,
    Unanswered,
    Overrun,
}

impl CallFailure {
    fn kind(&self) -> String {
        match self {
            Self::Connect => "connect".into(),
            Self::Connection => "connection".into(),
            Self::Reset(reason) => format!("reset_{reason}"),
            Self::HttpStatus(status) => format!("http_status_{status}"),
            Self::GrpcStatus(status) => format!("grpc_status_{status}"),
            Self::NoGrpcStatus => "no_grpc_status".into(),
            Self::BodyMismatch => "body_mismatch".into(),
            Self::Unanswered => "unanswered".into(),
            Self::Overrun => "overrun".into(),
        }
    }
}

/// Times are nanoseconds of [`crate::clock::now`].
#[derive(Default)]
pub(crate) struct Tally {
    sent: u64,
    ok: u64,
    bytes: u64,
    failed: BTreeMap<CallFailure, u64>,
    failures: Vec<Failed>,
    latency: Latency,
    windows: Windows,
}

/// A call that failed: when it was sent (or due), and when that was known.
#[derive(Clone, Serialize)]
struct Failed {
    sent: u64,
    ended: u64,
    kind: String,
}

struct Latency(Histogram<u64>);

impl Default for Latency {
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_NANOSECONDS, 3).expect("constant bounds are valid"))
    }
}

impl Latency {
    fn microseconds(&self) -> Value {
        let at = |quantile: f64| self.0.value_at_quantile(quantile) as f64 / 1000.0;
        json!({"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": self.0.max() as f64 / 1000.0})
    }
}

/// The calls of each `length` nanoseconds since `start`, by the time when they were sent; 0: they are not told apart.
#[derive(Default)]
struct Windows {
    start: u64,
    length: u64,
    each: Vec<Window>,
}

#[derive(Default)]
struct Window {
    ok: u64,
    failed: u64,
    latency: Latency,
}

impl Windows {
    fn of(&mut self, sent: u64) -> Option<&mut Window> {
        let index = sent.saturating_sub(self.start).checked_div(self.length)? as usize;
        while self.each.len() <= index {
            self.each.push(Window::default());
        }
        self.each.get_mut(index)
    }
}

impl Tally {
    /// `window` is a length in nanoseconds, 0 for none.
    pub(crate) fn new(start: u64, window: u64) -> Self {
        Self { windows: Windows { start, length: window, each: Vec::new() }, ..Self::default() }
    }

    pub(crate) fn sent(&mut self) {
        self.sent += 1;
    }

    /// `outcome` is the count of body bytes of a correct response to a call that was sent (or due) at `sent`.
    pub(crate) fn answered(&mut self, outcome: Result<u64, CallFailure>, sent: u64, ended: u64) {
        let nanoseconds = ended.saturating_sub(sent).max(1);
        let window = self.windows.of(sent);
        match outcome {
            Ok(bytes) => {
                self.ok += 1;
                self.bytes += bytes;
                self.latency.0.saturating_record(nanoseconds);
                if let Some(window) = window {
                    window.ok += 1;
                    window.latency.0.saturating_record(nanoseconds);
                }
            }
            Err(failure) => {
                if let Some(window) = window {
                    window.failed += 1;
                }
                if self.failures.len() < MOST_FAILURES {
                    self.failures.push(Failed { sent, ended, kind: failure.kind() });
                }
                *self.failed.entry(failure).or_default() += 1;
            }
        }
    }

    /// Calls that were sent and never came to an end have failed.
    pub(crate) fn close(&mut self) {
        let ended = self.ok + self.failed.values().sum::<u64>();
        if self.sent > ended {
            *self.failed.entry(CallFailure::Unanswered).or_default() += self.sent - ended;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.sent += other.sent;
        self.ok += other.ok;
        self.bytes += other.bytes;
        for (failure, count) in &other.failed {
            *self.failed.entry(failure.clone()).or_default() += count;
        }
        self.failures.extend_from_slice(&other.failures);
        let _ = self.latency.0.add(&other.latency.0);
        for (index, window) in other.windows.each.iter().enumerate() {
            if self.windows.each.len() <= index {
                self.windows.each.push(Window::default());
            }
            let own = &mut self.windows.each[index];
            own.ok += window.ok;
            own.failed += window.failed;
            let _ = own.latency.0.add(&window.latency.0);
        }
    }

    pub(crate) fn result(&self, elapsed_seconds: f64, warm_up_failed: u64) -> Value {
        let failed: BTreeMap<String, u64> = self.failed.iter().map(|(kind, count)| (kind.kind(), *count)).collect();
        let window =
            |one: &Window| json!({"ok": one.ok, "failed": one.failed, "latency_us": one.latency.microseconds()});
        json!({
            "sent": self.sent,
            "ok": self.ok,
            "failed": failed,
            "failures": self.failures,
            "warm_up_failed": warm_up_failed,
            "bytes": self.bytes,
            "elapsed_seconds": elapsed_seconds,
            "per_second": self.ok as f64 / elapsed_seconds.max(1e-9),
            "latency_us": self.latency.microseconds(),
            "windows": self.windows.each.iter().map(window).collect::<Vec<_>>(),
        })
    }
}
