//! Counters of one worker. Only the worker writes them, so adding is a load and a store; anybody may read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($variant:ident $name:literal $label:expr, $help:literal;)*) => {
        /// What is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Counter { $($variant),* }

        /// (name, label, help) of each, in the order of the enum. Several labels share a name.
        pub const DESCRIPTIONS: &[(&str, Option<(&str, &str)>, &str)] = &[$(($name, $label, $help)),*];
    };
}

counters! {
    ClientConnections "connections_accepted_total" None, "Client connections accepted.";
    ClientConnectionsClosed "connections_closed_total" None, "Client connections closed.";
    UpstreamConnections "upstream_connections_total" None, "Connections to backends that were made.";
    UpstreamConnectFailures "upstream_connect_failures_total" None, "Connections to backends that could not be made.";
    UpstreamConnectionsClosed "upstream_connections_closed_total" None, "Connections to backends that ended.";
    RetriesRefused "retries_total" Some(("condition", "refused-stream")), "Requests sent again.";
    RetriesConnect "retries_total" Some(("condition", "connect-failure")), "Requests sent again.";
    RetriesReset "retries_total" Some(("condition", "reset")), "Requests sent again.";
    RetriesPerTryTimeout "retries_total" Some(("condition", "per-try-timeout")), "Requests sent again.";
    RetriesGatewayError "retries_total" Some(("condition", "gateway-error")), "Requests sent again.";
    RetriesHttpStatus "retries_total" Some(("condition", "http-status")), "Requests sent again.";
    RetriesGrpcStatus "retries_total" Some(("condition", "grpc-status")), "Requests sent again.";
    RetryBudgetExhausted "retry_budget_exhausted_total" None, "Times that a request was not sent again, or only later, since too many were.";
    HedgesSent "hedges_sent_total" None, "Requests that were sent to a second endpoint before the first had answered.";
    HedgesWon "hedges_won_total" None, "Requests that the second endpoint answered first.";
    BreakerConnections "circuit_breaker_open_total" Some(("breaker", "connections")), "Times that a backend's circuit breaker held something back.";
    BreakerPending "circuit_breaker_open_total" Some(("breaker", "pending")), "Times that a backend's circuit breaker held something back.";
    BreakerRequests "circuit_breaker_open_total" Some(("breaker", "requests")), "Times that a backend's circuit breaker held something back.";
    BreakerRetries "circuit_breaker_open_total" Some(("breaker", "retries")), "Times that a backend's circuit breaker held something back.";
    ProtocolErrors "protocol_errors_total" None, "Client connections ended for breaking the protocol.";
    UpstreamProtocolErrors "upstream_protocol_errors_total" None, "Connections to backends ended because they broke the protocol.";
    Floods "floods_total" None, "Client connections ended for doing too much that moves nothing.";
    HeadTimeouts "head_timeouts_total" None, "Client connections ended for heads or handshakes that took too long.";
    StreamErrors "stream_errors_total" None, "Streams reset because the client broke a rule.";
    BytesFromClients "received_bytes_total" Some(("side", "client")), "Bytes read.";
    BytesFromBackends "received_bytes_total" Some(("side", "backend")), "Bytes read.";
    WorkerFailures "worker_failures_total" None, "Workers that failed by a mistake of the gateway's and were started again.";
    Held "requests_held_total" None, "Requests that waited for keys.";
    LogDropped "access_log_dropped_total" None, "Access log records that were dropped because the writer was behind.";
    LogSampled "access_log_unsampled_total" None, "Successful requests that the access log left out by its rate.";
}

#[derive(Debug)]
pub struct Counters(Box<[AtomicU64]>);

impl Default for Counters {
    fn default() -> Self {
        Counters(DESCRIPTIONS.iter().map(|_| AtomicU64::new(0)).collect())
    }
}

impl Counters {
    /// To be called by the owning worker alone.
    #[inline(always)]
    pub fn add(&self, counter: Counter, amount: u64) {
        bump(&self.0[counter as usize], amount);
    }

    pub fn get(&self, counter: usize) -> u64 {
        self.0[counter].load(Relaxed)
    }
}

/// Adds without a locked instruction: there is one writer.
#[inline(always)]
pub(crate) fn bump(value: &AtomicU64, amount: u64) {
    value.store(value.load(Relaxed).wrapping_add(amount), Relaxed);
}
