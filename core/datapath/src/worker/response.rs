//! A backend's header fields: the response, an interim response before it, or trailers behind it.

use super::exchange::{CLIENT, NONE, UPSTREAM};
use super::facts::parse_length;
use super::{Worker, answer};
use crate::http2::ErrorCode;
use crate::http2::hpack::{HeaderList, Token};

impl Worker {
    #[inline]
    pub(super) fn response(&mut self, slot: u32, end_stream: bool, list: &mut HeaderList) {
        let exchange = &mut self.exchanges[slot];
        let half = &mut exchange.sides[UPSTREAM];
        if half.ended {
            return;
        }
        if exchange.hedge_of != NONE {
            self.hedge_response(slot, end_stream, list);
            return;
        }
        if half.headed {
            self.response_trailers(slot, end_stream, list);
            return;
        }
        let Some(fields) = ResponseFacts::read(self, list) else {
            self.fail(slot, answer::BAD_RESPONSE);
            return;
        };
        let exchange = &mut self.exchanges[slot];
        if fields.status < 200 {
            if end_stream || fields.status == 101 {
                self.fail(slot, answer::BAD_RESPONSE);
            } else if fields.status != 100 && !exchange.grpc && exchange.transcoding.is_none() {
                // gRPC knows no interim responses, and 100 is ours to say.
                self.send_headers(slot, fields.status, false, list);
            }
            return;
        }
        if exchange.tries.is_some() && self.withhold(slot, end_stream, fields.status, fields.grpc_status, list) {
            return;
        }
        let exchange = &mut self.exchanges[slot];
        let half = &mut exchange.sides[UPSTREAM];
        half.headed = true;
        half.ended = end_stream;
        half.remaining = fields.content_length;
        if end_stream && !matches!(fields.content_length, 0 | u64::MAX) && fields.status != 304 {
            // Only the answer to a HEAD request may say a length and have no body.
            half.remaining = 0;
        }
        exchange.status = fields.status;
        exchange.grpc_status = fields.grpc_status;
        if exchange.entered_ns != 0 {
            self.leave_answered(slot);
        }
        let exchange = &mut self.exchanges[slot];
        if let Some(head) = &mut exchange.head {
            head.replayable = false;
            head.body.clear();
            if head.charged > 0 {
                self.shared.refund(std::mem::take(&mut head.charged));
            }
        }
        if exchange.transcoding.is_some() {
            self.transcoded_head(slot, fields.status, end_stream, list);
            return;
        }
        match fields.server {
            Some(at) => list.set_shared(at, &self.own.server),
            None => list.push_shared(&self.own.server),
        }
        if !fields.has_date {
            list.push_shared(&self.own.date);
        }
        if fields.asserted {
            list.retain(|token| token != Token::Asserted);
        }
        if self.send_headers(slot, fields.status, end_stream, list) && end_stream {
            self.complete(slot);
        }
    }

    /// False: they could not be written, and the exchange is over.
    pub(super) fn send_headers(&mut self, slot: u32, status: u16, end_stream: bool, list: &HeaderList) -> bool {
        let half = self.exchanges[slot].sides[CLIENT];
        let Some(connection) = self.connections.get(half.connection) else { return false };
        let written = connection.write_head(&self.dictionary, half.stream, status, list, end_stream);
        self.mark(half.connection);
        if written.is_err() {
            self.reset_client(slot, ErrorCode::INTERNAL_ERROR);
        }
        written.is_ok()
    }

    #[inline]
    fn response_trailers(&mut self, slot: u32, end_stream: bool, list: &mut HeaderList) {
        let dictionary = &self.dictionary;
        let mut grpc_status = u8::MAX;
        let mut bad = !end_stream || list.is_malformed() || list.is_oversize();
        for index in 0..list.len() {
            match list.token(index) {
                Token::GrpcStatus => grpc_status = parse_grpc_status(list.value(dictionary, index)),
                token => bad |= token.is_pseudo() || token == Token::ConnectionSpecific,
            }
        }
        if bad {
            self.fail(slot, answer::BAD_RESPONSE);
            return;
        }
        let exchange = &mut self.exchanges[slot];
        exchange.grpc_status = grpc_status;
        exchange.sides[UPSTREAM].ended = true;
        if exchange.transcoding.is_some() {
            self.transcoded_end(slot, list);
            return;
        }
        if exchange.pending[CLIENT].is_some() {
            let trailers = Box::new(std::mem::take(list));
            self.send_trailers(slot, CLIENT, trailers);
            return;
        }
        let half = exchange.sides[CLIENT];
        let Some(connection) = self.connections.get(half.connection) else { return };
        let written = connection.write_end(&self.dictionary, half.stream, Some(list));
        self.mark(half.connection);
        match written {
            Ok(()) => self.complete(slot),
            Err(_) => self.reset_client(slot, ErrorCode::INTERNAL_ERROR),
        }
    }
}

pub(super) struct ResponseFacts {
    pub(super) status: u16,
    pub(super) grpc_status: u8,
    content_length: u64,
    server: Option<usize>,
    has_date: bool,
    asserted: bool,
}

impl ResponseFacts {
    /// `None`: no client should see this.
    #[inline]
    pub(super) fn read(worker: &Worker, list: &HeaderList) -> Option<ResponseFacts> {
        if list.is_malformed() || list.is_oversize() {
            return None;
        }
        let mut facts = ResponseFacts {
            status: 0,
            grpc_status: u8::MAX,
            content_length: u64::MAX,
            server: None,
            has_date: false,
            asserted: false,
        };
        for index in 0..list.len() {
            match list.token(index) {
                Token::Other => {}
                Token::Status if index == 0 => facts.status = parse_status(list.value(&worker.dictionary, index))?,
                token if token.is_pseudo() || token == Token::ConnectionSpecific => return None,
                Token::GrpcStatus => facts.grpc_status = parse_grpc_status(list.value(&worker.dictionary, index)),
                Token::ContentLength => {
                    let length = parse_length(list.value(&worker.dictionary, index))?;
                    if facts.content_length != u64::MAX {
                        return None;
                    }
                    facts.content_length = length;
                }
                Token::Server => facts.server = Some(index),
                Token::Date => facts.has_date = true,
                Token::Asserted => facts.asserted = true,
                _ => {}
            }
        }
        (facts.status != 0).then_some(facts)
    }
}

fn parse_status(value: &[u8]) -> Option<u16> {
    let &[a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = value else { return None };
    Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
}

/// 2 (UNKNOWN) for what is no number between 0 and 16, as gRPC clients read it.
#[inline]
fn parse_grpc_status(value: &[u8]) -> u8 {
    match value {
        [digit @ b'0'..=b'9'] => digit - b'0',
        [b'1', digit @ b'0'..=b'6'] => 10 + digit - b'0',
        _ => 2,
    }
}
