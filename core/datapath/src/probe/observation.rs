//! What a probe found out.

use crate::snapshot::Address;
use serde::Serialize;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// In one word. Only `Serving` is healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// SERVING, an expected HTTP status, or a connection where no more was asked for.
    Serving,
    NotServing,
    /// The server does not know the service: NOT_FOUND to Check, SERVICE_UNKNOWN from Watch.
    ServiceUnknown,
    /// The server says UNKNOWN, or a status that `grpc.health.v1` does not have.
    Unknown,
    /// The server does not have the health service.
    Unimplemented,
    /// The call ended with another gRPC status.
    CallFailed,
    /// An HTTP status that was not expected.
    HttpStatus,
    Refused,
    /// No address for the name, no way to the address, or no such socket.
    Unreachable,
    ConnectTimeout,
    AnswerTimeout,
    TlsFailed,
    ProtocolError,
    /// The connection or the stream ended before the answer.
    Closed,
}

/// All of them, in order.
pub(super) const OUTCOMES: [Outcome; 14] = [
    Outcome::Serving,
    Outcome::NotServing,
    Outcome::ServiceUnknown,
    Outcome::Unknown,
    Outcome::Unimplemented,
    Outcome::CallFailed,
    Outcome::HttpStatus,
    Outcome::Refused,
    Outcome::Unreachable,
    Outcome::ConnectTimeout,
    Outcome::AnswerTimeout,
    Outcome::TlsFailed,
    Outcome::ProtocolError,
    Outcome::Closed,
];

impl Outcome {
    /// The server itself said so.
    fn is_answer(self) -> bool {
        use Outcome::{HttpStatus, NotServing, ServiceUnknown, Serving, Unknown};
        matches!(self, Serving | NotServing | ServiceUnknown | Unknown | HttpStatus)
    }
}

impl fmt::Display for Outcome {
    /// As in JSON.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Outcome::Serving => "SERVING",
            Outcome::NotServing => "NOT_SERVING",
            Outcome::ServiceUnknown => "SERVICE_UNKNOWN",
            Outcome::Unknown => "UNKNOWN",
            Outcome::Unimplemented => "UNIMPLEMENTED",
            Outcome::CallFailed => "CALL_FAILED",
            Outcome::HttpStatus => "HTTP_STATUS",
            Outcome::Refused => "REFUSED",
            Outcome::Unreachable => "UNREACHABLE",
            Outcome::ConnectTimeout => "CONNECT_TIMEOUT",
            Outcome::AnswerTimeout => "ANSWER_TIMEOUT",
            Outcome::TlsFailed => "TLS_FAILED",
            Outcome::ProtocolError => "PROTOCOL_ERROR",
            Outcome::Closed => "CLOSED",
        })
    }
}

/// An outcome with what it was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub outcome: Outcome,
    /// For people.
    pub text: String,
    /// What the gRPC call ended with, where it ended with a status.
    pub grpc_status: Option<u32>,
    pub http_status: Option<u16>,
}

impl Finding {
    pub(super) fn is_answer(&self) -> bool {
        self.grpc_status.is_some() || self.http_status.is_some() || self.outcome.is_answer()
    }

    pub(super) fn new(outcome: Outcome, text: impl Into<String>) -> Finding {
        Finding { outcome, text: text.into(), grpc_status: None, http_status: None }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observation {
    /// The target's name.
    pub target: String,
    pub healthy: bool,
    #[serde(flatten)]
    pub finding: Finding,
    /// The connection was ready for the question: connected, TLS and HTTP/2's SETTINGS done.
    pub connected: bool,
    /// The address that was tried last; None: the name has none.
    pub address: Option<String>,
    /// Unix seconds.
    pub at: f64,
    /// Milliseconds until the connection was ready; None: it never was.
    pub connect_ms: Option<u64>,
    /// Milliseconds from the question to the answer. Absent without an answer, and for what `Watch` says later.
    pub answer_ms: Option<u64>,
}

/// When things happened, in milliseconds of one clock.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    pub(super) began_ms: u64,
    pub(super) connected_ms: Option<u64>,
    /// Of the first answer.
    pub(super) answered_ms: Option<u64>,
}

impl Observation {
    pub(super) fn new(target: &str, finding: Finding, address: Option<&Address>, times: Times) -> Observation {
        let answer_ms = times.connected_ms.zip(times.answered_ms).map(|(asked, answered)| answered - asked);
        Observation {
            target: target.to_owned(),
            healthy: finding.outcome == Outcome::Serving,
            finding,
            connected: times.connected_ms.is_some(),
            address: address.map(Address::to_string),
            at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            connect_ms: times.connected_ms.map(|at| at - times.began_ms),
            answer_ms,
        }
    }

    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
