//! What an HTTP status means, and GET over HTTP/2.

use super::health::{Found, broken, ended_early};
use super::http2::Part;
use super::observation::{Finding, Outcome};

/// The finding for the status of a final response.
pub(super) fn judge(status: u16, expected: &[(u16, u16)]) -> Finding {
    let is_expected = expected.iter().any(|&(first, last)| (first..=last).contains(&status));
    let outcome = if is_expected { Outcome::Serving } else { Outcome::HttpStatus };
    Finding { http_status: Some(status), ..Finding::new(outcome, format!("HTTP {status}")) }
}

/// The first final head decides; the body is of no interest.
pub(super) fn take(part: Part, expected: &[(u16, u16)], found: &mut Vec<Found>) {
    let finding = match part {
        Part::Fields { fields, end } => match fields.status {
            Some(100..=199) if !end => return,
            Some(status) => judge(status, expected),
            None => broken("the answer has no HTTP status"),
        },
        Part::Data { .. } => broken("data before the answer's head"),
        Part::Reset(code) => ended_early("reset the request", code.0),
        Part::Left(code) => ended_early("sent GOAWAY", code.0),
        Part::Broken => broken("the server broke a rule of HTTP/2"),
    };
    found.push(Found::Last(finding));
}
