//! A protocol without sockets: bytes in, findings out, bytes to send in a buffer.

use super::document::Kind;
use super::get;
use super::health::{Found, HealthCall, broken};
use super::http1;
use super::http2::{BESIDE, Client, MAIN, Part};
use super::observation::{Finding, Outcome};
use super::plan::Plan;
use crate::http2::hpack::Dictionary;
use std::rc::Rc;

/// Bytes of the beginning that are kept to tell what else the server may speak.
const GREETING: usize = 16;

enum Protocol {
    /// The connection was all that was wanted.
    Tcp,
    Http1 {
        out: Vec<u8>,
        response: http1::Response,
    },
    Http2 {
        client: Box<Client>,
        /// None: GET.
        call: Option<HealthCall>,
        /// A Check beside a Watch that has answered: whoever answers that is alive, whatever it says.
        beside: Option<HealthCall>,
        greeting: Vec<u8>,
    },
}

pub(super) struct Session {
    protocol: Protocol,
    asked: bool,
    over: bool,
    /// The connection takes no further question.
    spent: bool,
}

impl Session {
    /// `http2`: what ALPN agreed on, where `plan` leaves the choice.
    pub(super) fn new(plan: &Plan, http2: bool, watch: bool, dictionary: &Rc<Dictionary>, now_ms: u64) -> Session {
        let over_http2 = match plan.kind {
            Kind::Tcp => None,
            Kind::Http1 => Some(false),
            Kind::Http => Some(http2),
            Kind::Http2 | Kind::Grpc => Some(true),
        };
        let protocol = match over_http2 {
            None => Protocol::Tcp,
            Some(false) => Protocol::Http1 { out: plan.http1_request(), response: http1::Response::default() },
            Some(true) => Protocol::Http2 {
                client: Box::new(Client::new(dictionary.clone(), now_ms)),
                call: (plan.kind == Kind::Grpc).then(|| HealthCall::new(watch, plan.gzip)),
                beside: None,
                greeting: Vec::new(),
            },
        };
        Session { protocol, asked: false, over: false, spent: false }
    }

    /// The question has been put (into `out`), so from now on the time-out is that of the answer.
    pub(super) fn has_asked(&self) -> bool {
        self.asked
    }

    /// Prepares another Check after one that has been answered; false: the connection cannot take it.
    pub(super) fn again(&mut self, plan: &Plan) -> bool {
        let Protocol::Http2 { client, call: Some(call), .. } = &mut self.protocol else { return false };
        if !self.over || self.spent || !client.let_go(MAIN) {
            return false;
        }
        *call = HealthCall::new(false, plan.gzip);
        (self.asked, self.over) = (false, false);
        true
    }

    /// Asks by Check whether a watched server is alive: `Found::Alive` follows. False: the connection cannot take it.
    pub(super) fn ask_beside(&mut self, plan: &Plan) -> bool {
        let Protocol::Http2 { client, beside, .. } = &mut self.protocol else { return false };
        let asked =
            !self.over && beside.is_none() && client.ask(BESIDE, &plan.health_fields(false), Some(&plan.question));
        if asked {
            *beside = Some(HealthCall::new(false, plan.gzip));
        }
        asked
    }

    /// To be called when the connection is there, and after each `receive`.
    pub(super) fn advance(&mut self, plan: &Plan, watch: bool, found: &mut Vec<Found>) {
        if self.asked || self.over {
            return;
        }
        match &mut self.protocol {
            Protocol::Tcp => {
                self.asked = true;
                found.push(Found::Last(Finding::new(Outcome::Serving, "takes connections")));
            }
            Protocol::Http1 { .. } => self.asked = true,
            Protocol::Http2 { client, call, .. } if client.is_settled() => {
                self.asked = true;
                let (fields, body) = match call {
                    Some(_) => (plan.health_fields(watch), Some(&plan.question[..])),
                    None => (plan.get_fields(), None),
                };
                if !client.ask(MAIN, &fields, body) {
                    found.push(Found::Last(Finding::new(
                        Outcome::Closed,
                        "the server takes no call on a new connection",
                    )));
                }
            }
            Protocol::Http2 { .. } => {}
        }
        self.cut(found);
    }

    /// Bytes to send; what has been sent is to be drained.
    pub(super) fn out(&mut self) -> Option<&mut Vec<u8>> {
        match &mut self.protocol {
            Protocol::Tcp => None,
            Protocol::Http1 { out, .. } => Some(out),
            Protocol::Http2 { client, .. } => Some(client.out()),
        }
    }

    pub(super) fn receive(&mut self, plan: &Plan, bytes: &[u8], now_ms: u64, found: &mut Vec<Found>) {
        match &mut self.protocol {
            Protocol::Tcp => {}
            Protocol::Http1 { .. } if self.over => {}
            Protocol::Http1 { response, .. } => {
                found.extend(response.take(bytes, &plan.expected_statuses).map(Found::Last));
            }
            Protocol::Http2 { client, call, beside, greeting } => {
                if !client.is_settled() {
                    let room = GREETING.saturating_sub(greeting.len()).min(bytes.len());
                    greeting.extend_from_slice(&bytes[..room]);
                }
                let mut parts = Vec::new();
                let outcome = client.receive(bytes, now_ms, &mut parts);
                if self.over {
                    self.spent |= outcome.is_err();
                    return;
                }
                for (which, part) in parts {
                    match (which, &mut *call) {
                        (MAIN, Some(call)) => call.take(part, found),
                        (MAIN, None) => get::take(part, &plan.expected_statuses, found),
                        _ => take_beside(client, beside, part, found),
                    }
                }
                if let Err(error) = outcome {
                    let settled = client.is_settled();
                    let text = if settled { error.reason } else { suspect(greeting).unwrap_or(error.reason) };
                    found.push(Found::Last(broken(text)));
                }
            }
        }
        self.cut(found);
    }

    /// Whatever comes after the last finding counts no more.
    fn cut(&mut self, found: &mut Vec<Found>) {
        if let Some(at) = found.iter().position(|one| matches!(one, Found::Last(_))) {
            found.truncate(at + 1);
            self.over = true;
        }
    }
}

fn take_beside(client: &mut Client, beside: &mut Option<HealthCall>, part: Part, found: &mut Vec<Found>) {
    let Some(call) = beside else { return };
    let mut ended = Vec::new();
    call.take(part, &mut ended);
    if !ended.is_empty() {
        *beside = None;
        client.let_go(BESIDE);
        found.push(Found::Alive);
    }
}

/// What a server that does not begin with SETTINGS may be speaking instead.
fn suspect(greeting: &[u8]) -> Option<&'static str> {
    match greeting {
        [0x15, 0x03, ..] => Some("the server speaks TLS, and was asked in cleartext"),
        [b'H', b'T', b'T', b'P', b'/', ..] => Some("the server speaks HTTP/1.1, not HTTP/2"),
        _ => Some("the server does not speak HTTP/2"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_are_recognised() {
        assert!(suspect(b"\x15\x03\x03\0\x02").unwrap().contains("TLS"));
        assert!(suspect(b"HTTP/1.1 400").unwrap().contains("HTTP/1.1"));
        assert!(suspect(b"SSH-2.0-").unwrap().contains("does not speak"));
    }
}
