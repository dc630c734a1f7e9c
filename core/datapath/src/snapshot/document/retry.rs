//! When a request is sent again, and how many may be at once.

use super::defaults::{one, ten_thousand, three, twenty};
use serde::Deserialize;

/// Of a backend, or in its place, whole, of a route or a method.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Attempts after the first.
    #[serde(default = "one")]
    pub attempts: u32,
    #[serde(default = "safe_conditions")]
    pub on: Vec<RetryOn>,
    /// HTTP statuses of responses that are not passed on while there are attempts left.
    #[serde(default)]
    pub http_statuses: Vec<u16>,
    /// gRPC statuses (1 to 16) of answers without a message (Trailers-Only).
    #[serde(default)]
    pub grpc_statuses: Vec<u8>,
    /// The n-th of them waits a random part of this, doubled n - 1 times. Envoy's figures.
    #[serde(default = "back_off")]
    pub back_off_ms: u64,
    #[serde(default = "longest_back_off")]
    pub max_back_off_ms: u64,
    /// An attempt without response headers for so long is given up, and another made if some are left; 0 is off.
    #[serde(default)]
    pub per_try_timeout_ms: u64,
    #[serde(default)]
    pub hedge: Option<Hedge>,
}

/// A second attempt at another endpoint while the first has no response headers; the first headers win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hedge {
    pub delay_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryOn {
    ConnectFailure,
    /// REFUSED_STREAM, and streams above the last id of a GOAWAY.
    RefusedStream,
    /// The connection died, or the stream was reset, before response headers: the backend may have acted on the request.
    Reset,
    /// The HTTP statuses 502, 503 and 504.
    GatewayError,
}

/// Of one backend, over all workers. 0 is no limit, unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CircuitBreakers {
    /// A worker that has no connection to the backend may make one whatever this says.
    #[serde(default)]
    pub max_connections: u32,
    /// Requests that wait for a connection; 0: none may.
    #[serde(default = "ten_thousand")]
    pub max_pending: u32,
    #[serde(default)]
    pub max_requests: u32,
    /// Requests that are being sent again and hedged, beside what the budget says.
    #[serde(default)]
    pub max_retries: u32,
    /// Hundredths of the active requests that may be sent again or hedged at once. Envoy's figures.
    #[serde(default = "twenty")]
    pub retry_budget_percent: u32,
    /// So many may be in any case.
    #[serde(default = "three")]
    pub retry_budget_least: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            attempts: one(),
            on: safe_conditions(),
            http_statuses: Vec::new(),
            grpc_statuses: Vec::new(),
            back_off_ms: back_off(),
            max_back_off_ms: longest_back_off(),
            per_try_timeout_ms: 0,
            hedge: None,
        }
    }
}

impl Default for CircuitBreakers {
    fn default() -> Self {
        CircuitBreakers {
            max_connections: 0,
            max_pending: ten_thousand(),
            max_requests: 0,
            max_retries: 0,
            retry_budget_percent: twenty(),
            retry_budget_least: three(),
        }
    }
}

fn safe_conditions() -> Vec<RetryOn> {
    vec![RetryOn::ConnectFailure, RetryOn::RefusedStream]
}

fn back_off() -> u64 {
    25
}

fn longest_back_off() -> u64 {
    250
}
