//! Answers of our own: JSON to HTTP clients, trailers-only to gRPC clients.

use super::Worker;
use super::exchange::{CLIENT, Half, Phase, Reason, UPSTREAM};
use crate::authenticate::status::AuthStatus;
use crate::http1::{Http1Error, ReplyContext, Version};
use crate::http2::ErrorCode;
use crate::http2::hpack::HeaderList;
use crate::transcode::status::{encode_message, error_body, grpc_from_http};
use std::borrow::Cow;

/// What we say instead of a backend.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) grpc_status: u8,
    pub(super) message: Cow<'static, str>,
    pub(super) reason: Reason,
    pub(super) extra: Option<(&'static str, String)>,
}

/// gRPC's numbers.
mod code {
    pub(super) const UNKNOWN: u8 = 2;
    pub(super) const DEADLINE_EXCEEDED: u8 = 4;
    pub(super) const RESOURCE_EXHAUSTED: u8 = 8;
    pub(super) const UNIMPLEMENTED: u8 = 12;
    pub(super) const INTERNAL: u8 = 13;
    pub(super) const UNAVAILABLE: u8 = 14;
    pub(super) const UNAUTHENTICATED: u8 = 16;
}

/// Milliseconds after which a gRPC client may retry, or -1 (gRFC A6); the same for HTTP, in seconds (RFC 9110).
const PUSHBACK: &str = "grpc-retry-pushback-ms";
const RETRY_AFTER: &str = "retry-after";
/// Refused by an overloaded backend, a client comes again after one to three times as long.
const PUSHBACK_MS: u64 = 100;

const fn answer(status: u16, grpc_status: u8, reason: Reason, message: &'static str) -> Answer {
    Answer { status, grpc_status, message: Cow::Borrowed(message), reason, extra: None }
}

pub(super) const OVERSIZE_HEADERS: Answer =
    answer(431, code::RESOURCE_EXHAUSTED, "headers-too-large", "The request's header fields are too large");
pub(super) const NO_BACKEND: Answer = answer(503, code::UNAVAILABLE, "no-backend", "no backend is configured");
pub(super) const NO_ENDPOINT: Answer =
    answer(503, code::UNAVAILABLE, "no-endpoint", "no healthy upstream: the backend has no endpoints");
pub(super) const QUEUE_FULL: Answer =
    answer(503, code::UNAVAILABLE, "queue-full", "upstream overflow: too many requests wait for a connection");
pub(super) const TOO_MANY_REQUESTS: Answer =
    answer(503, code::UNAVAILABLE, "too-many-requests", "upstream overflow: too many requests to this backend");
pub(super) const CONNECT_FAILED: Answer =
    answer(503, code::UNAVAILABLE, "connect-failure", "upstream connect error: connection failure");
pub(super) const UPSTREAM_CLOSED: Answer =
    answer(502, code::UNAVAILABLE, "upstream-closed", "upstream connection closed before the response was complete");
pub(super) const UPSTREAM_RESET: Answer =
    answer(502, code::UNAVAILABLE, "upstream-reset", "upstream reset the stream before the response was complete");
pub(super) const UPSTREAM_INTERNAL: Answer =
    answer(502, code::INTERNAL, "upstream-reset", "upstream reset the stream in the middle of the response");
pub(super) const BAD_RESPONSE: Answer =
    answer(502, code::UNAVAILABLE, "bad-response", "upstream protocol error: its response is malformed");
pub(super) const BUFFER_FULL: Answer =
    answer(503, code::RESOURCE_EXHAUSTED, "buffer-full", "the gateway's buffers are full");
pub(super) const DEADLINE: Answer =
    answer(504, code::DEADLINE_EXCEEDED, "deadline-exceeded", "the call's deadline has passed");
pub(super) const PER_TRY_TIMEOUT: Answer =
    answer(504, code::DEADLINE_EXCEEDED, "per-try-timeout", "upstream request timeout: no response headers in time");
pub(super) const BAD_REQUEST: Answer = answer(400, code::INTERNAL, "bad-request", "The request is malformed");
pub(super) const HEAD_TIMEOUT: Answer =
    answer(408, code::UNAVAILABLE, "header-timeout", "The request's head did not arrive in time");
pub(super) const BODY_TIMEOUT: Answer =
    answer(408, code::UNAVAILABLE, "body-timeout", "The request's body did not arrive in time");

pub(super) const BAD_PATH: Answer =
    answer(400, code::INTERNAL, "bad-path", "The request's path is malformed or ambiguous");
pub(super) const BAD_AUTHORITY: Answer =
    answer(400, code::INTERNAL, "bad-authority", "The request's authority is malformed, or differs from its Host");
pub(super) const NOT_FOUND: Answer =
    answer(404, code::UNIMPLEMENTED, "not-found", "The current request is not defined by this API.");
pub(super) const NO_ROUTE: Answer = answer(404, code::UNIMPLEMENTED, "no-route", "No route matches the request");
pub(super) const BODY_TOO_LARGE: Answer =
    answer(413, code::RESOURCE_EXHAUSTED, "body-too-large", "The request's body is too large");
pub(super) const HOLD_FULL: Answer = answer(401, code::UNAUTHENTICATED, "too-many-held", "Jwks remote fetch is failed");
pub(super) const HEALTHY: Answer = answer(200, 0, "", "OK");
pub(super) const DRAINING: Answer = answer(503, code::UNAVAILABLE, "draining", "the gateway is draining");
pub(super) const NOT_SERVING: Answer = answer(503, code::UNAVAILABLE, "draining", "NOT_SERVING");

/// By a route of the configuration.
pub(super) fn redirected(status: u16, location: String) -> Answer {
    let message = format!("moved to {location}").into();
    Answer { status, grpc_status: code::UNKNOWN, message, reason: "redirect", extra: Some(("location", location)) }
}

/// A rate limit is exceeded. Who waits for less than a minute is told when to come again.
pub(super) fn rate_limited(limit: &str, wait_ns: u64, grpc: bool) -> Answer {
    const MINUTE_MS: u64 = 60_000;
    let extra = match (grpc, wait_ns.div_ceil(1_000_000)) {
        (true, ms @ ..=MINUTE_MS) => (PUSHBACK, ms.to_string()),
        (true, _) => (PUSHBACK, "-1".to_owned()),
        (false, ms) => (RETRY_AFTER, ms.div_ceil(1_000).to_string()),
    };
    Answer {
        status: 429,
        grpc_status: code::RESOURCE_EXHAUSTED,
        message: format!("too many requests: rate limit \"{limit}\"").into(),
        reason: "rate-limited",
        extra: Some(extra),
    }
}

/// The backend has as many calls under way as it can take. `spread` is any number: not all shall come again at once.
pub(super) fn overloaded(spread: u64, grpc: bool) -> Answer {
    let pushback_ms = PUSHBACK_MS + spread % (2 * PUSHBACK_MS);
    Answer {
        status: 503,
        grpc_status: code::UNAVAILABLE,
        message: "the backend is overloaded".into(),
        reason: "overloaded",
        extra: Some(if grpc { (PUSHBACK, pushback_ms.to_string()) } else { (RETRY_AFTER, "1".to_owned()) }),
    }
}

pub(super) fn wrong_method(template: &str, allowed: &[&[u8]]) -> Answer {
    let message = format!(
        "The current request is matched to the defined url template \"{template}\" but its http method is not allowed"
    );
    let allowed: Vec<String> = allowed.iter().map(|method| String::from_utf8_lossy(method).into_owned()).collect();
    Answer {
        status: 405,
        grpc_status: code::UNIMPLEMENTED,
        message: message.into(),
        reason: "method-not-allowed",
        extra: Some(("allow", allowed.join(", "))),
    }
}

/// A token was refused. `url` is the request's, for the challenge.
pub(super) fn denied(status: &AuthStatus, url: &str) -> Answer {
    Answer {
        status: status.http_status(),
        grpc_status: grpc_from_http(status.http_status()) as u8,
        message: status.message().to_owned().into(),
        reason: status.reason(),
        extra: status.www_authenticate(url).map(|challenge| ("www-authenticate", challenge)),
    }
}

/// A message could not be transcoded.
pub(super) fn failure(status: u16, message: String) -> Answer {
    Answer {
        status,
        grpc_status: grpc_from_http(status) as u8,
        message: message.into(),
        reason: if status < 500 { "bad-request" } else { "bad-response" },
        extra: None,
    }
}

/// What a client of HTTP/1.1 is told of a request that cannot be read.
pub(super) fn http1_error(error: Http1Error) -> Answer {
    answer(error.status(), code::INTERNAL, error.reason(), error.message())
}

pub(super) const IDLE: Answer =
    answer(504, code::DEADLINE_EXCEEDED, "stream-idle-timeout", "nothing was sent for longer than the route allows");

impl Worker {
    /// Ends an exchange with an answer of our own; behind response headers only the end is ours to say.
    pub(super) fn fail(&mut self, slot: u32, with: Answer) {
        let exchange = &self.exchanges[slot];
        if exchange.sides[UPSTREAM].headed && exchange.transcoding.is_none() {
            self.break_off(slot, with);
        } else {
            self.answer(slot, with);
        }
    }

    /// Answers a request to which no response has been sent.
    pub(super) fn answer(&mut self, slot: u32, with: Answer) {
        self.leave_upstream(slot, ErrorCode::CANCEL);
        let exchange = &mut self.exchanges[slot];
        exchange.phase = Phase::Answered;
        exchange.status = if exchange.grpc { 200 } else { with.status };
        exchange.grpc_status = if exchange.grpc { with.grpc_status } else { u8::MAX };
        exchange.reason = with.reason;
        let grpc = exchange.grpc;
        self.drop_pending(slot, CLIENT);
        if !grpc {
            let health = self.as_health_answer(slot, &with);
            let status = if health.is_some() { 503 } else { with.status };
            let body = health.unwrap_or_else(|| match with.status {
                200 => b"OK\n".to_vec(),
                _ if with.message == "NOT_SERVING" => crate::transcode::health::DRAINING_BODY.to_vec(),
                _ => error_body(with.status, &with.message),
            });
            let mut extra = HeaderList::default();
            if let Some((name, value)) = &with.extra {
                extra.push(name.as_bytes(), value.as_bytes());
            }
            self.send_json(slot, status, &body, Some(&extra));
            return;
        }
        let mut list = HeaderList::default();
        list.push_shared(&self.own.ok);
        list.push_shared(&self.own.grpc);
        list.push(b"grpc-status", with.grpc_status.to_string().as_bytes());
        list.push(b"grpc-message", encode_message(&with.message).as_ref());
        if let Some((name, value)) = &with.extra {
            list.push(name.as_bytes(), value.as_bytes());
        }
        list.push_shared(&self.own.server);
        list.push_shared(&self.own.date);
        self.close_if_unread(slot);
        if self.send_headers(slot, 200, true, &list) {
            self.complete(slot);
        }
    }

    /// Sends a whole response with a JSON body.
    pub(super) fn send_json(&mut self, slot: u32, status: u16, body: &[u8], extra: Option<&HeaderList>) {
        let exchange = &mut self.exchanges[slot];
        exchange.phase = Phase::Answered;
        exchange.status = status;
        let transcoding = exchange.transcoding.take();
        self.shared.refund(transcoding.map_or(0, |transcoding| transcoding.collected()));
        let mut list = HeaderList::default();
        list.push(b":status", status.to_string().as_bytes());
        list.push_shared(&self.own.json);
        list.push(b"content-length", body.len().to_string().as_bytes());
        if let Some(extra) = extra {
            extra.append_to(&self.dictionary, &mut list);
        }
        list.push_shared(&self.own.server);
        list.push_shared(&self.own.date);
        self.close_if_unread(slot);
        let bodiless = self.exchanges[slot].is_head;
        if !self.send_headers(slot, status, bodiless, &list) {
            return;
        }
        if bodiless {
            self.complete(slot);
        } else {
            self.queue_data(slot, CLIENT, body, true);
        }
    }

    /// Says over gRPC that this gateway serves no longer: a HealthCheckResponse of NOT_SERVING.
    pub(super) fn answer_not_serving(&mut self, slot: u32) {
        const NOT_SERVING: [u8; 7] = [0, 0, 0, 0, 2, 0x08, 2];
        let exchange = &mut self.exchanges[slot];
        exchange.phase = Phase::Answered;
        exchange.status = 200;
        exchange.grpc_status = 0;
        let mut list = HeaderList::default();
        list.push_shared(&self.own.ok);
        list.push_shared(&self.own.grpc);
        list.push_shared(&self.own.server);
        list.push_shared(&self.own.date);
        let mut trailers = Box::new(HeaderList::default());
        trailers.push(b"grpc-status", b"0");
        if self.send_headers(slot, 200, false, &list) {
            self.queue_data(slot, CLIENT, &NOT_SERVING, false);
            self.send_trailers(slot, CLIENT, trailers);
        }
    }

    /// HTTP/1.1: behind an answer to a request whose body has not been read no other can follow.
    fn close_if_unread(&mut self, slot: u32) {
        let half = self.exchanges[slot].sides[CLIENT];
        if let Some(http1) = self.connections.get(half.connection).and_then(|connection| connection.http1()) {
            let unread = !http1.body_read();
            let reply = http1.reply.get_or_insert(ReplyContext {
                version: Version::Http11,
                is_head: false,
                accepts_trailers: false,
                keep_alive: false,
            });
            reply.keep_alive &= !unread;
        }
    }

    /// Ends a response that has begun: gRPC clients get a status in trailers, others must see that it is cut off.
    fn break_off(&mut self, slot: u32, with: Answer) {
        self.leave_upstream(slot, ErrorCode::CANCEL);
        if with.status != UPSTREAM_CLOSED.status {
            // The reason is ours: a client that does not read shall hear of it, and hold nothing any more.
            self.drop_pending(slot, CLIENT);
        }
        let exchange = &mut self.exchanges[slot];
        exchange.reason = with.reason;
        exchange.phase = Phase::Answered;
        if exchange.grpc {
            exchange.grpc_status = with.grpc_status;
            let mut trailers = Box::new(HeaderList::default());
            trailers.push(b"grpc-status", with.grpc_status.to_string().as_bytes());
            trailers.push(b"grpc-message", encode_message(&with.message).as_ref());
            self.send_trailers(slot, CLIENT, trailers);
        } else {
            self.reset_client(slot, ErrorCode::INTERNAL_ERROR);
        }
    }

    /// Lets go of the upstream stream, telling the backend if it does not know yet.
    pub(super) fn leave_upstream(&mut self, slot: u32, code: ErrorCode) {
        let half = std::mem::replace(&mut self.exchanges[slot].sides[UPSTREAM], Half::ABSENT);
        let exchange = &mut self.exchanges[slot];
        exchange.sides[UPSTREAM].ended = true;
        exchange.sides[UPSTREAM].headed = half.headed;
        exchange.sides[UPSTREAM].bytes = half.bytes;
        if let Some(head) = &mut exchange.head {
            head.replayable = false;
        }
        let watched = exchange.tries.is_some();
        self.drop_pending(slot, UPSTREAM);
        self.drop_upstream_stream(half, code);
        if watched {
            self.settle_tries(slot);
        }
    }
}
