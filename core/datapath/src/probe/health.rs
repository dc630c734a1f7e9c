//! `grpc.health.v1` Check and Watch over one stream.

use super::http2::{Fields, Part};
use super::messages::{Messages, answer};
use super::observation::{Finding, Outcome};
use crate::observe::series::GRPC_NAMES;
use crate::transcode::status;

pub(super) const CHECK: &str = "/grpc.health.v1.Health/Check";
pub(super) const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// What a session has found out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A watched server said this, and may say more.
    Now(Finding),
    /// A watched server has answered a Check beside.
    Alive,
    /// The call is over.
    Last(Finding),
}

#[derive(Debug, Default)]
pub(super) struct HealthCall {
    watch: bool,
    gzip: bool,
    head_seen: bool,
    messages: Messages,
    /// Check's answer, which counts when the call has ended well.
    status: Option<i32>,
}

impl HealthCall {
    pub(super) fn new(watch: bool, gzip: bool) -> HealthCall {
        HealthCall { watch, gzip, ..HealthCall::default() }
    }

    pub(super) fn take(&mut self, part: Part, found: &mut Vec<Found>) {
        let last = match part {
            Part::Fields { fields, end } => self.fields(&fields, end),
            Part::Data { bytes, end } => self.data(&bytes, end, found),
            Part::Reset(code) => Err(ended_early("reset the call", code.0)),
            Part::Left(code) => Err(ended_early("sent GOAWAY", code.0)),
            Part::Broken => Err(broken("the server broke a rule of HTTP/2")),
        };
        if let Err(finding) = last {
            found.push(Found::Last(finding));
        }
    }

    fn fields(&mut self, fields: &Fields, end: bool) -> Result<(), Finding> {
        if !self.head_seen {
            match fields.status {
                Some(100..=199) if !end => return Ok(()),
                Some(200) => {}
                Some(status) => {
                    let text = format!("HTTP status {status}: is this a gRPC server?");
                    return Err(Finding { http_status: Some(status), ..broken(text) });
                }
                None => return Err(broken("the answer has no HTTP status")),
            }
            if !fields.content_type.starts_with(b"application/grpc") {
                return Err(broken("the answer's content-type is not application/grpc: is this a gRPC server?"));
            }
            self.head_seen = true;
            self.messages.gzip = self.gzip && fields.grpc_encoding == b"gzip";
        } else if !end {
            return Err(broken("a second head on one stream"));
        }
        if end { Err(self.end(fields)) } else { Ok(()) }
    }

    fn data(&mut self, bytes: &[u8], end: bool, found: &mut Vec<Found>) -> Result<(), Finding> {
        if !self.head_seen {
            return Err(broken("data before the answer's head"));
        }
        self.messages.push(bytes);
        while let Some(message) = self.messages.next().map_err(broken)? {
            let status = answer(&message).map_err(broken)?;
            if self.watch {
                found.push(Found::Now(serving_status(status)));
            } else if self.status.replace(status).is_some() {
                return Err(broken("two answers to one Check"));
            }
        }
        if end { Err(broken("the call ended without a gRPC status")) } else { Ok(()) }
    }

    fn end(&self, trailers: &Fields) -> Finding {
        let outcome = status::Outcome::parse(trailers.grpc_status.as_deref(), trailers.grpc_message.as_deref(), None);
        let Some(code) = outcome.code.filter(|_| trailers.grpc_status.is_some()) else {
            return broken("the call ended without a gRPC status");
        };
        let finding = match (code, self.status) {
            (status::OK, _) if self.watch => Finding::new(Outcome::Closed, "the server ended the Watch"),
            (status::OK, Some(status)) if self.messages.is_empty() => serving_status(status),
            (status::OK, Some(_)) => broken("the answer is cut short"),
            (status::OK, None) => broken("the call succeeded without an answer"),
            (status::UNIMPLEMENTED, _) => {
                Finding::new(Outcome::Unimplemented, said("the server does not have grpc.health.v1", &outcome.message))
            }
            (status::NOT_FOUND, _) => {
                Finding::new(Outcome::ServiceUnknown, said("the server does not know the service", &outcome.message))
            }
            (code, _) => {
                let text = format!("the call ended with {}", name(code));
                Finding::new(Outcome::CallFailed, said(&text, &outcome.message))
            }
        };
        Finding { grpc_status: Some(code), ..finding }
    }
}

/// HealthCheckResponse.ServingStatus.
fn serving_status(status: i32) -> Finding {
    match status {
        0 => Finding::new(Outcome::Unknown, "UNKNOWN"),
        1 => Finding::new(Outcome::Serving, "SERVING"),
        2 => Finding::new(Outcome::NotServing, "NOT_SERVING"),
        3 => Finding::new(Outcome::ServiceUnknown, "SERVICE_UNKNOWN"),
        other => Finding::new(Outcome::Unknown, format!("status {other}, which grpc.health.v1 does not have")),
    }
}

pub(super) fn broken(text: impl Into<String>) -> Finding {
    Finding::new(Outcome::ProtocolError, text)
}

pub(super) fn ended_early(what: &str, code: u32) -> Finding {
    Finding::new(Outcome::Closed, format!("the server {what} (HTTP/2 error {code:#x})"))
}

fn said(what: &str, message: &str) -> String {
    if message.is_empty() { what.to_owned() } else { format!("{what}: {message}") }
}

fn name(code: u32) -> String {
    GRPC_NAMES.get(code as usize).map_or_else(|| format!("status {code}"), |name| (*name).to_owned())
}
