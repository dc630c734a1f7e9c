//! Who is let in: rate limits, and how many calls a backend may have under way.

use serde::Deserialize;

/// A limit that routes and methods name. Several that name the same one share its buckets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// In metrics and log.
    pub name: String,
    /// What requests are told apart by; absent: all count together. Those that lack it count together.
    #[serde(default)]
    pub key: Option<RateKey>,
    pub requests: u64,
    pub period_ms: u64,
    /// Requests that may come at once.
    pub burst: u32,
    /// Keys that are sure to get a bucket of their own.
    #[serde(default = "ten_thousand")]
    pub max_keys: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RateKey {
    /// A claim of the verified token, or a member of one: names joined by dots.
    Claim(String),
    /// The value of a header, whose name is in lower case.
    Header(String),
    /// The client's address, as trusted proxies saw it; of IPv6 the first 64 bits.
    Source,
}

fn ten_thousand() -> u32 {
    10_000
}

/// See `admission::gradient`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptiveConcurrency {
    pub minimum: u32,
    pub maximum: u32,
    pub initial: u32,
    pub tolerance_percent: u32,
}

impl Default for AdaptiveConcurrency {
    fn default() -> Self {
        AdaptiveConcurrency { minimum: 3, maximum: 1000, initial: 20, tolerance_percent: 150 }
    }
}
