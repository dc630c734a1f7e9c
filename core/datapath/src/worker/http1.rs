//! A client's connection of HTTP/1.1: one request at a time, brought into the form that HTTP/2 gives it.

use super::Worker;
use super::connection::{Connection, Protocol, Stage};
use super::exchange::{CLIENT, Phase, UPSTREAM};
use crate::http1::{
    BodyDecoder, BodyFraming, BodyLimits, BodyWriter, Head, HeadLimits, HeadParser, Http1Error, Piece, ReplyContext,
    write_continue,
};
use crate::http2::frame::MAX_FRAME_SIZE;
use crate::http2::hpack::HeaderList;

/// What may wait behind a request that is being served, before we stop reading.
const PIPELINE_BYTES: usize = 64 << 10;

#[derive(Debug, Default)]
pub(crate) struct Http1 {
    pub(crate) out: Vec<u8>,
    pub(crate) written: usize,
    parser: HeadParser,
    /// The request that is being served.
    pub(crate) exchange: Option<u32>,
    body: Option<BodyDecoder>,
    pub(crate) reply: Option<ReplyContext>,
    pub(crate) writer: Option<BodyWriter>,
    /// `input` holds bytes that wait for the exchange: for its end, or for its backend to take more.
    pub(crate) stalled: bool,
    pub(crate) requests: u64,
}

impl Http1 {
    pub(crate) fn backlog(&self) -> usize {
        self.out.len() - self.written
    }

    /// The request's body has been read to its end.
    pub(crate) fn body_read(&self) -> bool {
        self.body.as_ref().is_none_or(BodyDecoder::is_done)
    }

    /// Lets go of the finished request; whether another may follow on this connection.
    pub(crate) fn finish(&mut self) -> bool {
        let another = self.writer.is_some_and(|writer| writer.keep_alive()) && self.body_read();
        self.exchange = None;
        self.body = None;
        self.reply = None;
        self.writer = None;
        self.stalled = false;
        another
    }
}

/// What `read_head` takes out of a head before the buffer is needed again.
struct Arrived {
    consumed: usize,
    framing: BodyFraming,
    expects_continue: bool,
}

impl Worker {
    /// Handles what is in `bytes`; returns how many of them are done with.
    pub(super) fn process_http1(&mut self, slot: u32, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let Some(connection) = self.connections.get(slot) else { return bytes.len() };
            if connection.stage != Stage::Open {
                return bytes.len();
            }
            let Protocol::Http1(http1) = &mut connection.protocol else { return bytes.len() };
            let outcome = match http1.exchange {
                None => self.read_head(slot, bytes, &mut at),
                Some(exchange) => self.read_body(slot, exchange, bytes, &mut at),
            };
            match outcome {
                Ok(true) => {}
                Ok(false) => return at,
                Err(error) => {
                    self.refuse_http1(slot, error);
                    return bytes.len();
                }
            }
        }
    }

    /// Whether there may be more to do.
    fn read_head(&mut self, slot: u32, bytes: &[u8], at: &mut usize) -> Result<bool, Http1Error> {
        let unread = &bytes[*at..];
        if unread.is_empty() {
            return Ok(false);
        }
        let limits = &self.snapshot.limits;
        let head_limits = HeadLimits {
            line: limits.max_line_bytes as usize,
            header_bytes: limits.max_header_bytes as usize,
            headers: limits.max_headers.min(180) as usize,
        };
        let body_limits = BodyLimits {
            body: limits.max_body_bytes,
            trailer_bytes: limits.max_header_bytes as usize,
            trailers: limits.max_headers as usize,
        };
        let body_timeout_ms = limits.body_timeout_ms;
        let mut list = std::mem::take(&mut self.list);
        list.clear();
        let arrived = self.take_head(slot, unread, &head_limits, &mut list);
        let result = match arrived {
            Ok(Some(arrived)) => {
                *at += arrived.consumed;
                let decoder = BodyDecoder::new(arrived.framing, body_limits);
                decoder.map(|decoder| {
                    let end = decoder.is_done();
                    if let Some(http1) = self.connections.get(slot).and_then(Connection::http1) {
                        http1.body = Some(decoder);
                        http1.requests += 1;
                    }
                    // Errors are those of HTTP/2, which this is not.
                    let _ = self.request(slot, 0, end, &mut list);
                    self.continue_if_expected(slot, arrived.expects_continue);
                    self.arm_connection(slot, self.clock.now_ms + body_timeout_ms);
                    true
                })
            }
            Ok(None) => Ok(false),
            Err(error) => Err(error),
        };
        self.list = list;
        result
    }

    fn take_head(
        &mut self,
        slot: u32,
        unread: &[u8],
        limits: &HeadLimits,
        list: &mut HeaderList,
    ) -> Result<Option<Arrived>, Http1Error> {
        let Some(connection) = self.connections.get(slot) else { return Ok(None) };
        let (https, draining) = (connection.transport.is_tls(), connection.drain_announced);
        let Protocol::Http1(http1) = &mut connection.protocol else { return Ok(None) };
        let Some(head) = http1.parser.parse(unread, limits)? else { return Ok(None) };
        fill_list(&head, https, list);
        let mut reply = head.reply_context();
        reply.keep_alive &= !draining;
        let arrived =
            Arrived { consumed: head.consumed(), framing: head.framing(), expects_continue: head.expects_continue() };
        http1.reply = Some(reply);
        Ok(Some(arrived))
    }

    /// `100 Continue`, unless the request was answered without its body.
    fn continue_if_expected(&mut self, slot: u32, expected: bool) {
        if !expected {
            return;
        }
        let Some(http1) = self.connections.get(slot).and_then(Connection::http1) else { return };
        if http1.exchange.is_some() && http1.writer.is_none() && !http1.body_read() {
            write_continue(&mut http1.out);
            self.mark(slot);
        }
    }

    fn read_body(&mut self, slot: u32, exchange: u32, bytes: &[u8], at: &mut usize) -> Result<bool, Http1Error> {
        let held = self.exchanges[exchange].pending[UPSTREAM].as_ref().map_or(0, |pending| pending.left());
        let window = self.snapshot.stream_window() as usize;
        let Some(http1) = self.connections.get(slot).and_then(Connection::http1) else { return Ok(false) };
        if http1.body_read() || held >= window {
            http1.stalled = true;
            return Ok(false);
        }
        let Some(body) = &mut http1.body else { return Ok(false) };
        let room = (window - held).clamp(1 << 10, MAX_FRAME_SIZE);
        let step = body.decode(&bytes[*at..bytes.len().min(*at + room)])?;
        *at += step.consumed;
        let done = body.is_done();
        match step.piece {
            Piece::NeedMore => return Ok(bytes.len() - *at > room),
            Piece::Data(data) => {
                let _ = self.data(slot, CLIENT, 0, exchange, done, data, 0);
            }
            Piece::End => self.body_ended(slot, exchange),
        }
        Ok(true)
    }

    /// The end of a body came apart from its last bytes, maybe with trailers.
    fn body_ended(&mut self, slot: u32, exchange: u32) {
        let mut trailers = HeaderList::default();
        if let Some(body) = self.connections.get(slot).and_then(Connection::http1).and_then(|http1| http1.body.as_ref())
        {
            for (name, value) in body.trailers() {
                trailers.push(name, value);
            }
        }
        let half = &mut self.exchanges[exchange].sides[CLIENT];
        if half.ended {
            return;
        }
        if trailers.is_empty() {
            let _ = self.data(slot, CLIENT, 0, exchange, true, b"", 0);
        } else {
            let _ = self.request_trailers(slot, 0, exchange, true, &mut trailers);
        }
    }

    /// A request that cannot be read: where the next one begins is unknown, so the connection ends with the answer.
    fn refuse_http1(&mut self, slot: u32, error: Http1Error) {
        let Some(http1) = self.connections.get(slot).and_then(Connection::http1) else { return };
        let served = http1.exchange;
        if let Some(reply) = &mut http1.reply {
            reply.keep_alive = false;
        }
        if http1.writer.is_some() {
            self.close_after_flush(slot);
            return;
        }
        let exchange = served.unwrap_or_else(|| self.open_bare_exchange(slot, 0, false, false));
        self.answer(exchange, super::answer::http1_error(error));
    }

    /// Goes on with the input that waited.
    pub(super) fn resume_http1(&mut self, slot: u32) {
        if let Some(http1) = self.connections.get(slot).and_then(Connection::http1)
            && http1.stalled
        {
            http1.stalled = false;
            self.again.push(slot);
        }
    }

    /// Whether more input should wait in the kernel.
    pub(super) fn holds_enough(&mut self, slot: u32) -> bool {
        let Some(connection) = self.connections.get(slot) else { return false };
        let length = connection.input.len();
        connection.http1().is_some_and(|http1| http1.stalled && length >= PIPELINE_BYTES)
    }

    /// Nothing came of a body for too long.
    pub(super) fn body_is_overdue(&mut self, slot: u32) -> bool {
        let (now_ms, timeout_ms) = (self.clock.now_ms, self.snapshot.limits.body_timeout_ms);
        let Some(connection) = self.connections.get(slot) else { return false };
        let silent = now_ms >= connection.active_ms + timeout_ms;
        silent
            && connection.http1().is_some_and(|http1| http1.exchange.is_some() && !http1.body_read() && !http1.stalled)
    }

    pub(super) fn time_out_body(&mut self, slot: u32) {
        let Some(exchange) = self.connections.get(slot).and_then(Connection::http1).and_then(|http1| http1.exchange)
        else {
            return;
        };
        if self.exchanges[exchange].phase == Phase::Answered || self.exchanges[exchange].sides[UPSTREAM].headed {
            self.close_connection(slot);
        } else {
            self.answer(exchange, super::answer::BODY_TIMEOUT);
        }
    }
}

/// The request as HTTP/2 would have it.
fn fill_list(head: &Head<'_>, https: bool, list: &mut HeaderList) {
    list.push(b":method", head.method());
    list.push(b":scheme", if https { b"https" } else { b"http" });
    if !head.authority().is_empty() {
        list.push(b":authority", head.authority());
    }
    list.push(b":path", &head.path());
    for (name, value) in head.forwarded_fields() {
        list.push_lowercase(name, value);
    }
    if head.reply_context().accepts_trailers {
        list.push(b"te", b"trailers");
    }
}
