//! What became of the calls.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

const LONGEST_NANOSECONDS: u64 = 3_600_000_000_000;

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

pub(crate) struct Tally {
    sent: u64,
    ok: u64,
    bytes: u64,
    failed: BTreeMap<CallFailure, u64>,
    latency: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1, LONGEST_NANOSECONDS, 3).expect("constant bounds are valid");
        Self { sent: 0, ok: 0, bytes: 0, failed: BTreeMap::new(), latency }
    }
}

impl Tally {
    pub(crate) fn sent(&mut self) {
        self.sent += 1;
    }

    /// `outcome` is the count of body bytes of a correct response; `nanoseconds` the call's latency.
    pub(crate) fn answered(&mut self, outcome: Result<u64, CallFailure>, nanoseconds: u64) {
        match outcome {
            Ok(bytes) => {
                self.ok += 1;
                self.bytes += bytes;
                self.latency.saturating_record(nanoseconds.max(1));
            }
            Err(failure) => *self.failed.entry(failure).or_default() += 1,
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
        let _ = self.latency.add(&other.latency);
    }

    pub(crate) fn result(&self, elapsed_seconds: f64, warm_up_failed: u64) -> Value {
        let microseconds = |quantile: f64| self.latency.value_at_quantile(quantile) as f64 / 1000.0;
        let failed: BTreeMap<String, u64> = self.failed.iter().map(|(kind, count)| (kind.kind(), *count)).collect();
        json!({
            "sent": self.sent,
            "ok": self.ok,
            "failed": failed,
            "warm_up_failed": warm_up_failed,
            "bytes": self.bytes,
            "elapsed_seconds": elapsed_seconds,
            "per_second": self.ok as f64 / elapsed_seconds.max(1e-9),
            "latency_us": {
                "p50": microseconds(0.5),
                "p90": microseconds(0.9),
                "p99": microseconds(0.99),
                "max": self.latency.max() as f64 / 1000.0,
            },
        })
    }
}
