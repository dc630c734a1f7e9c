//! Answers of our own: JSON to HTTP clients, trailers-only to gRPC clients.

use super::Worker;
use super::exchange::{CLIENT, Half, Phase, Reason, UPSTREAM};
use crate::http1::{Http1Error, ReplyContext, Version};
use crate::http2::ErrorCode;
use crate::http2::hpack::HeaderList;

/// What we say instead of a backend.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) grpc_status: u8,
    pub(super) message: &'static str,
    pub(super) reason: Reason,
}

/// gRPC's numbers.
mod code {
    pub(super) const DEADLINE_EXCEEDED: u8 = 4;
    pub(super) const RESOURCE_EXHAUSTED: u8 = 8;
    pub(super) const INTERNAL: u8 = 13;
    pub(super) const UNAVAILABLE: u8 = 14;
}

const fn answer(status: u16, grpc_status: u8, reason: Reason, message: &'static str) -> Answer {
    Answer { status, grpc_status, message, reason }
}

pub(super) const OVERSIZE_HEADERS: Answer =
    answer(431, code::RESOURCE_EXHAUSTED, "headers-too-large", "The request's header fields are too large");
pub(super) const NO_BACKEND: Answer = answer(503, code::UNAVAILABLE, "no-backend", "no backend is configured");
pub(super) const NO_ENDPOINT: Answer =
    answer(503, code::UNAVAILABLE, "no-endpoint", "no healthy upstream: the backend has no endpoints");
pub(super) const QUEUE_FULL: Answer =
    answer(503, code::UNAVAILABLE, "queue-full", "upstream overflow: too many requests wait for a connection");
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
pub(super) const BAD_REQUEST: Answer = answer(400, code::INTERNAL, "bad-request", "The request is malformed");
pub(super) const HEAD_TIMEOUT: Answer =
    answer(408, code::UNAVAILABLE, "header-timeout", "The request's head did not arrive in time");
pub(super) const BODY_TIMEOUT: Answer =
    answer(408, code::UNAVAILABLE, "body-timeout", "The request's body did not arrive in time");

/// What a client of HTTP/1.1 is told of a request that cannot be read.
pub(super) fn http1_error(error: Http1Error) -> Answer {
    answer(error.status(), code::INTERNAL, error.reason(), error.message())
}

pub(super) const IDLE: Answer =
    answer(504, code::DEADLINE_EXCEEDED, "stream-idle-timeout", "nothing was sent for longer than the route allows");

impl Worker {
    /// Ends an exchange with an answer of our own; behind response headers only the end is ours to say.
    pub(super) fn fail(&mut self, slot: u32, with: Answer) {
        if self.exchanges[slot].sides[UPSTREAM].headed {
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
        let body = if grpc { String::new() } else { error_body(with.status, with.message) };
        let mut list = HeaderList::default();
        if grpc {
            list.push_shared(&self.own.ok);
            list.push_shared(&self.own.grpc);
            list.push(b"grpc-status", with.grpc_status.to_string().as_bytes());
            list.push(b"grpc-message", &percent_encode(with.message));
        } else {
            list.push(b":status", with.status.to_string().as_bytes());
            list.push_shared(&self.own.json);
            list.push(b"content-length", body.len().to_string().as_bytes());
        }
        list.push_shared(&self.own.server);
        list.push_shared(&self.own.date);
        self.close_if_unread(slot);
        let status = if grpc { 200 } else { with.status };
        if !self.send_headers(slot, status, grpc, &list) {
            return;
        }
        if grpc {
            self.complete(slot);
        } else {
            self.queue_data(slot, CLIENT, body.as_bytes(), true);
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
        let exchange = &mut self.exchanges[slot];
        exchange.reason = with.reason;
        exchange.phase = Phase::Answered;
        if exchange.grpc {
            exchange.grpc_status = with.grpc_status;
            let mut trailers = Box::new(HeaderList::default());
            trailers.push(b"grpc-status", with.grpc_status.to_string().as_bytes());
            trailers.push(b"grpc-message", &percent_encode(with.message));
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
        self.drop_pending(slot, UPSTREAM);
        self.drop_upstream_stream(half, code);
    }
}

fn error_body(status: u16, message: &str) -> String {
    serde_json::json!({"code": status, "message": message}).to_string()
}

/// `grpc-message` holds printable ASCII; the rest, and `%`, as `%XX` (gRPC over HTTP/2, "Responses").
fn percent_encode(message: &str) -> Vec<u8> {
    let mut coded = Vec::with_capacity(message.len());
    for &byte in message.as_bytes() {
        match byte {
            b'%' | ..0x20 | 0x7f.. => coded.extend_from_slice(format!("%{byte:02X}").as_bytes()),
            _ => coded.push(byte),
        }
    }
    coded
}
