//! Where requests go: endpoints, how they are balanced, and what is done when one fails.

use super::defaults::{five_seconds, one, sixteen, twenty_seconds, yes};
use super::{AdaptiveConcurrency, CircuitBreakers, KeyPair, Retry};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    pub name: String,
    /// What discovery found; may be empty (every request then answers UNAVAILABLE).
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// Replaces the client's `:authority`.
    #[serde(default)]
    pub authority: Option<String>,
    #[serde(default)]
    pub retry: Retry,
    #[serde(default = "five_seconds")]
    pub connect_timeout_ms: u64,
    /// Connections per worker and endpoint; more than one only when the peer's stream limit fills.
    #[serde(default = "sixteen")]
    pub max_connections: u32,
    #[serde(default)]
    pub circuit_breakers: CircuitBreakers,
    /// PINGs to the backend on connections with streams; 0 is off. gRPC servers refuse less than five minutes.
    #[serde(default)]
    pub keepalive_time_ms: u64,
    #[serde(default = "twenty_seconds")]
    pub keepalive_timeout_ms: u64,
    /// What runs at an endpoint that is gone may run so long; absent: as long as it takes.
    #[serde(default)]
    pub drain_timeout_ms: Option<u64>,
    #[serde(default)]
    pub balance: Balance,
    /// An event is raised when so many calls of one endpoint in a row fail; 0 is off.
    #[serde(default)]
    pub outlier_errors: u32,
    /// Absent: as many calls as come.
    #[serde(default)]
    pub adaptive_concurrency: Option<AdaptiveConcurrency>,
}

/// How a backend's endpoints share its requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    #[serde(default)]
    pub policy: BalancePolicy,
    /// What `ring-hash` and `maglev` hash; a request that lacks it goes to a random endpoint.
    #[serde(default)]
    pub hash_on: Option<HashOn>,
    #[serde(default)]
    pub priorities: Priorities,
    /// Of `ring-hash` and `maglev`: an endpoint with more than so many hundredths of the average load is passed over, at
    /// least 100. 0 is off.
    #[serde(default)]
    pub hash_balance_factor_percent: u32,
    /// Absent: new endpoints get their whole share at once. Not for policies that hash.
    #[serde(default)]
    pub slow_start: Option<SlowStart>,
}

/// See `balance::slow_start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlowStart {
    pub window_ms: u64,
    pub aggression_percent: u32,
    pub min_weight_percent: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BalancePolicy {
    #[default]
    RoundRobin,
    LeastRequest,
    Random,
    RingHash,
    Maglev,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HashOn {
    /// The value of a header, whose name is in lower case.
    Header(String),
    Cookie(String),
    /// The client's address, as its connection has it.
    Source,
}

/// In hundredths; see `balance::priority`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Priorities {
    pub overprovisioning_percent: u32,
    pub panic_threshold_percent: u32,
}

impl Default for Priorities {
    fn default() -> Self {
        Priorities { overprovisioning_percent: 140, panic_threshold_percent: 50 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// `10.0.0.1:50051`, `[::1]:50051` or `unix:///run/app.sock`; names are resolved before they get here.
    pub address: String,
    #[serde(default = "one")]
    pub weight: u32,
    /// 0 is preferred; the next takes what it cannot carry.
    #[serde(default)]
    pub priority: u32,
    /// 0 is near and preferred within its priority; those farther away take what it cannot carry.
    #[serde(default)]
    pub distance: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientTls {
    /// Certificates to trust; absent: the public roots that Python found on this machine are put here.
    pub ca_pem: Option<String>,
    #[serde(default)]
    pub client: Option<KeyPair>,
    /// Absent: none is sent. May be absent only where `verify` is false.
    #[serde(default)]
    pub server_name: Option<String>,
    /// False: whatever certificate the backend shows is taken.
    #[serde(default = "yes")]
    pub verify: bool,
}
