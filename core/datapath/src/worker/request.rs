//! A request's header fields: what they ask for, and what the backend shall see of them.

use super::admit::Stopped;
use super::connection::Protocol;
use super::exchange::{CLIENT, Half, NONE, Phase, UPSTREAM};
use super::facts::{Facts, parse_timeout};
use super::memo::Found;
use super::{Head, Worker};
use crate::http1::may_trail;
use crate::http2::hpack::{HeaderList, Token};
use crate::http2::{ConnectionError, ErrorCode};

/// The longest `x-request-id` of a client that is passed on; a longer one is replaced.
const LONGEST_REQUEST_ID: usize = 128;

impl Worker {
    /// A stream that a client opens. What it must not do ends the stream, or the connection if it does so often.
    pub(super) fn request(
        &mut self,
        connection: u32,
        stream: u32,
        end_stream: bool,
        list: &mut HeaderList,
    ) -> Result<(), ConnectionError> {
        let mut facts = match Facts::read(&self.dictionary, list) {
            Some(facts) if !list.is_malformed() => facts,
            _ if list.is_oversize() => return self.refuse_oversize(connection, stream, end_stream),
            _ => return self.reset_offender(connection, stream),
        };
        if facts.repeated {
            for token in [Token::ForwardedProto, Token::RequestId] {
                list.keep_last(token);
            }
            facts = Facts::read(&self.dictionary, list).unwrap_or(facts);
        }
        if end_stream && facts.content_length != u64::MAX && facts.content_length > 0 {
            return self.reset_offender(connection, stream);
        }
        let found = self.recall(&facts, list);
        if found.is_none() && !facts.names_are_valid(&self.dictionary, list) {
            return self.reset_offender(connection, stream);
        }
        let slot = self.open_exchange(connection, stream, end_stream, &facts);
        let method = facts.method.get().map(|at| list.value(&self.dictionary, at));
        self.exchanges[slot].is_head = method == Some(b"HEAD");
        if list.is_oversize() {
            self.answer(slot, super::answer::OVERSIZE_HEADERS);
            return Ok(());
        }
        let largest = self.snapshot.limits.max_body_bytes;
        if largest > 0 && facts.content_length != u64::MAX && facts.content_length > largest {
            self.answer(slot, super::answer::BODY_TOO_LARGE);
            return Ok(());
        }
        if let Some(at) = facts.grpc_timeout.get()
            && let Some(timeout_ms) = parse_timeout(list.value(&self.dictionary, at))
        {
            self.set_deadline(slot, timeout_ms);
        }
        self.proceed(connection, slot, &facts, found, list, true);
        Ok(())
    }

    /// Decides on a request and sends it on its way.
    #[inline]
    pub(super) fn proceed(
        &mut self,
        connection: u32,
        slot: u32,
        facts: &Facts,
        found: Option<Found>,
        list: &mut HeaderList,
        may_wait: bool,
    ) {
        let admitted = match self.admit(slot, facts, found, list, may_wait) {
            Ok(admitted) => admitted,
            Err(Stopped::Answered(answer)) => return self.answer(slot, answer),
            Err(Stopped::Wait { provider, key_id }) => return self.hold(slot, list, provider, key_id),
            Err(Stopped::Draining) => return self.answer_not_serving(slot),
        };
        self.prepare(connection, facts, list);
        self.limit_time(slot, facts, admitted.timeout_ms, list);
        if let Some(caller) = &admitted.caller {
            list.push_named(&self.own.userinfo, &caller.userinfo);
        }
        if let Some(own) = self.pools.get(admitted.pool as usize).and_then(|pool| pool.authority.as_ref()) {
            match list.find_token(Token::Authority) {
                Some(at) => list.set_shared(at, own),
                None => list.push_front(&self.dictionary, b":authority", own.value()),
            }
        }
        self.keep_head(slot, list);
        let exchange = &mut self.exchanges[slot];
        exchange.pool = admitted.pool;
        exchange.caller = admitted.caller;
        if admitted.transcoding.is_some() {
            exchange.transcoding = admitted.transcoding;
            exchange.phase = Phase::Collecting;
            if let Some(head) = &mut exchange.head {
                head.replayable = false;
            }
            self.collect_what_came(slot);
            return;
        }
        self.enter(slot);
    }

    /// A transcoded request may have waited for keys while its body arrived.
    fn collect_what_came(&mut self, slot: u32) {
        let exchange = &mut self.exchanges[slot];
        let ended = exchange.sides[CLIENT].ended;
        match exchange.pending[UPSTREAM].take() {
            Some(pending) => {
                self.shared.refund(pending.left());
                self.collect(slot, &pending.data[pending.position..], ended);
            }
            None if ended => self.transcode_request(slot),
            None => {}
        }
    }

    fn reset_offender(&mut self, slot: u32, stream: u32) -> Result<(), ConnectionError> {
        let now_ms = self.clock.now_ms;
        match self.connections.get(slot).and_then(|connection| connection.http2()) {
            Some(http2) => http2.reset_offender(stream, ErrorCode::PROTOCOL_ERROR, now_ms),
            None => {
                let exchange = self.open_bare_exchange(slot, stream, true, false);
                self.answer(exchange, super::answer::BAD_REQUEST);
                Ok(())
            }
        }
    }

    /// The pseudo fields may be among those that were dropped, so it is not known whether this is gRPC.
    fn refuse_oversize(&mut self, connection: u32, stream: u32, end_stream: bool) -> Result<(), ConnectionError> {
        let slot = self.open_bare_exchange(connection, stream, end_stream, false);
        self.answer(slot, super::answer::OVERSIZE_HEADERS);
        Ok(())
    }

    fn open_exchange(&mut self, connection: u32, stream: u32, end_stream: bool, facts: &Facts) -> u32 {
        let slot = self.open_bare_exchange(connection, stream, end_stream, facts.grpc);
        self.exchanges[slot].sides[CLIENT].remaining = facts.content_length;
        slot
    }

    pub(super) fn open_bare_exchange(&mut self, connection: u32, stream: u32, end_stream: bool, grpc: bool) -> u32 {
        let slot = self.exchanges.open();
        let mut send_window = i32::MAX;
        let (mut receive_window, mut credit_at) = (i32::MAX, u32::MAX);
        if let Some(connection) = self.connections.get(connection) {
            connection.requests += 1;
            match &mut connection.protocol {
                Protocol::Http2(http2) => {
                    http2.insert_stream(stream, slot);
                    send_window = http2.initial_send_window();
                    receive_window = http2.stream_window() as i32;
                    credit_at = http2.stream_window() / 2;
                }
                Protocol::Http1(http1) => {
                    http1.exchange = Some(slot);
                }
                Protocol::Unknown => {}
            }
        }
        let exchange = &mut self.exchanges[slot];
        exchange.phase = Phase::Queued;
        exchange.sides[CLIENT] = Half {
            connection,
            stream,
            send_window,
            receive_window,
            credit_at,
            ended: end_stream,
            headed: true,
            ..Half::ABSENT
        };
        exchange.sides[UPSTREAM] = Half::ABSENT;
        exchange.pool = NONE;
        exchange.endpoint = NONE;
        exchange.method = 0;
        exchange.transcoding = None;
        exchange.grpc = grpc;
        exchange.is_head = false;
        exchange.attempts = 0;
        exchange.started_ns = self.clock.now_ns;
        exchange.deadline_ms = 0;
        exchange.idle_timeout_ms = 0;
        exchange.active_ms = self.clock.now_ms;
        exchange.status = 0;
        exchange.grpc_status = u8::MAX;
        exchange.reason = "";
        slot
    }

    /// Turns the client's fields into those that the backend gets.
    #[inline]
    fn prepare(&mut self, connection: u32, facts: &Facts, list: &mut HeaderList) {
        let Some(connection) = self.connections.get(connection) else { return };
        let tls = connection.transport.is_tls();
        let certificate = connection.client_certificate.clone();
        let trusted = self.snapshot.xff_trusted_hops > 0;
        match (facts.forwarded_for.get(), &connection.forwarded_for) {
            (Some(at), _) => {
                let mut chain = list.value(&self.dictionary, at).to_vec();
                chain.extend_from_slice(b", ");
                chain.extend_from_slice(connection.peer_address.as_bytes());
                list.set_value(&self.dictionary, at, &chain);
            }
            (None, Some(field)) => list.push_shared(field),
            (None, None) => {
                let field = self.dictionary.field(b"x-forwarded-for", connection.peer_address.as_bytes());
                list.push_shared(&field);
                connection.forwarded_for = Some(field);
            }
        }
        let scheme = if tls { &self.own.https } else { &self.own.http };
        match facts.forwarded_proto.get() {
            Some(_) if trusted => {}
            Some(at) => list.set_shared(at, scheme),
            None => list.push_shared(scheme),
        }
        let request_id = facts.request_id.get();
        if request_id.is_none_or(|at| !(1..=LONGEST_REQUEST_ID).contains(&list.value(&self.dictionary, at).len())) {
            let id = request_id_text(self.next_random(), self.next_random());
            match request_id {
                Some(at) => list.set_value(&self.dictionary, at, &id),
                None => list.push_named(&self.own.request_id, &id),
            }
        }
        if facts.asserted || facts.host.get().is_some() {
            self.strip(facts, list);
        }
        if let Some(field) = certificate {
            list.push_shared(&field);
        }
    }

    /// Drops what only we may assert, and `host`, which `:authority` replaces.
    fn strip(&mut self, facts: &Facts, list: &mut HeaderList) {
        if facts.authority.get().is_none()
            && let Some(at) = facts.host.get()
        {
            let host = list.value(&self.dictionary, at).to_vec();
            list.push_front(&self.dictionary, b":authority", &host);
        }
        list.retain(|token| token != Token::Asserted && token != Token::Host);
    }

    /// Keeps the fields as long as they may have to be sent again, or written to the log.
    #[inline]
    pub(super) fn keep_head(&mut self, slot: u32, list: &mut HeaderList) {
        let mut head = self.spare_heads.pop().unwrap_or_default();
        std::mem::swap(&mut head.list, list);
        head.replayable = true;
        self.exchanges[slot].head = Some(head);
    }

    /// The heads of finished requests serve the next ones, unless they grew unusually large.
    #[inline]
    pub(super) fn reuse_head(&mut self, mut head: Box<Head>) {
        if head.charged > 0 {
            self.shared.refund(std::mem::take(&mut head.charged));
        }
        if self.spare_heads.len() < super::SPARE_HEADS && head.list.footprint() < 8 << 10 {
            head.list.clear();
            head.original = None;
            head.body.clear();
            if head.body.capacity() > 4 << 10 {
                head.body = Vec::new();
            }
            self.spare_heads.push(head);
        }
    }

    /// Trailers of a request, which few protocols have.
    pub(super) fn request_trailers(
        &mut self,
        connection: u32,
        stream: u32,
        slot: u32,
        end_stream: bool,
        list: &mut HeaderList,
    ) -> Result<(), ConnectionError> {
        let exchange = &mut self.exchanges[slot];
        if exchange.sides[CLIENT].ended {
            return self.stream_error(connection, CLIENT, stream, slot, ErrorCode::STREAM_CLOSED);
        }
        let dictionary = &self.dictionary;
        let forbidden = (0..list.len()).map(|index| list.token(index));
        let bad = forbidden.into_iter().any(|token| token.is_pseudo() || token == Token::ConnectionSpecific);
        let short = exchange.sides[CLIENT].remaining != u64::MAX && exchange.sides[CLIENT].remaining > 0;
        if bad || short || !end_stream || list.is_malformed() || list.is_oversize() {
            return self.stream_error(connection, CLIENT, stream, slot, ErrorCode::PROTOCOL_ERROR);
        }
        exchange.sides[CLIENT].ended = true;
        for index in (0..list.len()).rev() {
            let ours = matches!(list.token(index), Token::RequestId | Token::Te | Token::Expect);
            if ours || !may_trail(list.name(dictionary, index)) {
                list.remove(index);
            }
        }
        if let Some(head) = &mut exchange.head {
            head.replayable = false;
        }
        let trailers = Box::new(std::mem::take(list));
        self.send_trailers(slot, UPSTREAM, trailers);
        Ok(())
    }
}

/// A random UUID (version 4) as text.
fn request_id_text(high: u64, low: u64) -> [u8; 36] {
    let (high, low) = (high & !0xf000 | 0x4000, low & !(0b11 << 62) | 0b10 << 62);
    let (a, b) = (hexadecimal((high >> 32) as u32), hexadecimal(high as u32));
    let (c, d) = (hexadecimal((low >> 32) as u32), hexadecimal(low as u32));
    let mut text = [b'-'; 36];
    text[..8].copy_from_slice(&a);
    text[9..13].copy_from_slice(&b[..4]);
    text[14..18].copy_from_slice(&b[4..]);
    text[19..23].copy_from_slice(&c[..4]);
    text[24..28].copy_from_slice(&c[4..]);
    text[28..].copy_from_slice(&d);
    text
}

/// Eight digits, all at once: halves, bytes and nibbles are spread over a word, the highest first.
fn hexadecimal(number: u32) -> [u8; 8] {
    let mut spread = u64::from(number);
    spread = (spread & 0xffff) << 32 | spread >> 16;
    spread = (spread & 0x0000_00ff_0000_00ff) << 16 | spread >> 8 & 0x0000_00ff_0000_00ff;
    spread = (spread & 0x000f_000f_000f_000f) << 8 | spread >> 4 & 0x000f_000f_000f_000f;
    let letters = (spread + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    (spread + 0x3030_3030_3030_3030 + letters * u64::from(b'a' - b'0' - 10)).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn request_ids_are_uuids(high: u64, low: u64) {
            let text = request_id_text(high, low);
            let digits = format!("{:016x}{:016x}", high & !0xf000 | 0x4000, low & !(0b11 << 62) | 0b10 << 62);
            let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
            prop_assert_eq!(std::str::from_utf8(&text).unwrap(), parts.join("-"));
        }
    }
}
