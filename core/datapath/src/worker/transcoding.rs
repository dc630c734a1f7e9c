//! Exchanges whose client speaks HTTP and JSON and whose backend speaks gRPC: both bodies are held whole.

use super::answer::{self, Answer};
use super::exchange::{CLIENT, Pending, Phase, UPSTREAM};
use super::facts::{Facts, format_timeout, is_grpc};
use super::{Worker, setup::Adopted};
use crate::http2::ErrorCode;
use crate::http2::hpack::{HeaderList, Token};
use crate::transcode::binding::Binding;
use crate::transcode::frame::MessageReader;
use crate::transcode::health;
use crate::transcode::status::{self, Outcome};
use std::borrow::Cow;
use std::rc::Rc;

pub(crate) struct Transcoding {
    snapshot: Rc<Adopted>,
    binding: usize,
    captures: Vec<Vec<u8>>,
    query: Option<Vec<u8>>,
    body: Vec<u8>,
    response: Option<MessageReader>,
    /// The backend's fields that the client shall see.
    fields: Option<Box<HeaderList>>,
    /// The response has begun without being gRPC.
    broken: bool,
}

impl std::fmt::Debug for Transcoding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Transcoding").field("binding", &self.binding).finish_non_exhaustive()
    }
}

impl Transcoding {
    pub(super) fn new(
        snapshot: Rc<Adopted>,
        binding: usize,
        captures: Vec<Vec<u8>>,
        query: Option<Vec<u8>>,
    ) -> Transcoding {
        let response = Some(MessageReader::new(snapshot.limits.max_transcoded_bytes as usize));
        Transcoding { snapshot, binding, captures, query, body: Vec::new(), response, fields: None, broken: false }
    }

    fn binding(&self) -> Option<&Binding> {
        self.snapshot.table.binding(self.binding).map(|binding| &binding.binding)
    }

    fn path(&self) -> &[u8] {
        let binding = self.snapshot.table.binding(self.binding);
        let method = binding.and_then(|binding| self.snapshot.table.methods().get(binding.method as usize));
        method.map_or(b"/", |method| &method.path)
    }

    /// Bytes of the request's body that are held, and charged to the process's budget.
    pub(super) fn collected(&self) -> usize {
        self.body.len()
    }

    pub(super) fn is_health_check(&self) -> bool {
        self.binding().is_some_and(Binding::is_health_check)
    }
}

impl Worker {
    /// A part of the client's body. It is credited at once: what it may hold is bounded by its own limit.
    pub(super) fn collect(&mut self, slot: u32, bytes: &[u8], end: bool) {
        let limit = self.snapshot.limits.max_transcoded_bytes as usize;
        let budget = self.snapshot.limits.max_buffer_bytes;
        let Some(transcoding) = &mut self.exchanges[slot].transcoding else { return };
        let wanted = transcoding.binding().is_some_and(Binding::takes_body);
        if wanted {
            if transcoding.body.len() + bytes.len() > limit {
                self.answer(slot, answer::BODY_TOO_LARGE);
                return;
            }
            if !self.shared.charge(bytes.len(), budget) {
                self.answer(slot, answer::BUFFER_FULL);
                return;
            }
            transcoding.body.extend_from_slice(bytes);
        }
        self.credit(slot, CLIENT, bytes.len() as u32);
        if end {
            self.transcode_request(slot);
        }
    }

    /// The request is whole: it becomes a gRPC call.
    pub(super) fn transcode_request(&mut self, slot: u32) {
        let exchange = &mut self.exchanges[slot];
        let Some(transcoding) = &mut exchange.transcoding else { return };
        let body = std::mem::take(&mut transcoding.body);
        self.shared.refund(body.len());
        let captures: Vec<Cow<'_, [u8]>> =
            transcoding.captures.iter().map(|value| Cow::Borrowed(value.as_slice())).collect();
        let Some(binding) = transcoding.binding() else { return };
        let message = match binding.request(&captures, transcoding.query.as_deref(), &body) {
            Ok(message) => message,
            Err(failure) => {
                self.answer(slot, answer::failure(failure.status, failure.message));
                return;
            }
        };
        let left_ms = exchange.deadline_ms.saturating_sub(self.clock.now_ms);
        if let Some(head) = &mut exchange.head {
            let mut list = HeaderList::default();
            list.push(b":method", b"POST");
            list.push(b":scheme", b"http");
            if let Some(at) = head.list.find_token(Token::Authority) {
                list.push(b":authority", head.list.value(&self.dictionary, at));
            }
            list.push(b":path", transcoding.path());
            list.push_shared(&self.own.grpc);
            list.push(b"te", b"trailers");
            list.push(b"grpc-accept-encoding", b"identity");
            if exchange.deadline_ms > 0 {
                list.push(b"grpc-timeout", format_timeout(left_ms.max(1)).as_bytes());
            }
            let value = |token| head.list.find_token(token).map(|at| head.list.value(&self.dictionary, at));
            let original = (value(Token::Method).unwrap_or_default(), value(Token::Path).unwrap_or_default());
            head.original = Some(Box::new((original.0.to_vec(), original.1.to_vec())));
            head.list.retain(is_passed_on);
            head.list.append_to(&self.dictionary, &mut list);
            head.list = list;
            head.body.clear();
            head.body.extend_from_slice(&message);
            head.replayable = true;
        }
        if !self.shared.charge(message.len(), self.snapshot.limits.max_buffer_bytes) {
            self.answer(slot, answer::BUFFER_FULL);
            return;
        }
        let credited = message.len();
        let pending = Pending { data: message, position: 0, credited, end: true, trailers: None };
        let exchange = &mut self.exchanges[slot];
        exchange.pending[UPSTREAM] = Some(Box::new(pending));
        exchange.phase = Phase::Queued;
        self.enter(slot);
    }

    /// The backend's header fields. They go to the client with the answer, once its status is known.
    pub(super) fn transcoded_head(&mut self, slot: u32, status: u16, end: bool, list: &mut HeaderList) {
        let dictionary = &self.dictionary;
        let content_type = list.find_token(Token::ContentType);
        let grpc = content_type.is_some_and(|at| is_grpc(list.value(dictionary, at)));
        if end {
            self.transcoded_end(slot, list);
            return;
        }
        list.retain(|token| token == Token::Other || token == Token::Volatile);
        list.remove_prefixed(dictionary, b"grpc-");
        if let Some(transcoding) = &mut self.exchanges[slot].transcoding {
            transcoding.broken = status != 200 || !grpc;
            transcoding.fields = Some(Box::new(std::mem::take(list)));
        }
    }

    /// A part of the backend's message.
    pub(super) fn transcoded_data(&mut self, slot: u32, bytes: &[u8], end: bool) {
        let Some(transcoding) = &mut self.exchanges[slot].transcoding else { return };
        let broken = transcoding.broken;
        let read = transcoding.response.as_mut().map_or(Ok(()), |reader| reader.push(bytes));
        if broken || end {
            self.answer(slot, answer::BAD_RESPONSE);
        } else if let Err(error) = read {
            self.answer(slot, answer::failure(500, error.to_string()));
        } else {
            self.credit(slot, UPSTREAM, bytes.len() as u32);
        }
    }

    /// The call is over: its status decides what the client is told.
    pub(super) fn transcoded_end(&mut self, slot: u32, trailers: &HeaderList) {
        let dictionary = Rc::clone(&self.dictionary);
        let value = |name: &[u8]| trailers.find(&dictionary, name).map(|at| trailers.value(&dictionary, at));
        let outcome = Outcome::parse(value(b"grpc-status"), value(b"grpc-message"), value(b"grpc-status-details-bin"));
        let Some(mut transcoding) = self.exchanges[slot].transcoding.take() else { return };
        let health = transcoding.is_health_check();
        let (code, body) = match outcome.code {
            Some(status::OK) if !transcoding.broken => {
                let message = transcoding.response.take().map(MessageReader::finish);
                match (message, transcoding.binding()) {
                    (Some(Ok(message)), Some(binding)) => match binding.response(&message) {
                        Ok(answer) => answer,
                        Err(failure) => (failure.status, status::error_body(failure.status, &failure.message)),
                    },
                    (Some(Err(error)), _) if health => (503, health::error_body(status::INTERNAL, &error.to_string())),
                    (Some(Err(error)), _) => (500, status::error_body(500, &error.to_string())),
                    _ => (500, status::error_body(500, "the call cannot be transcoded")),
                }
            }
            code if health => (503, health::error_body(code.unwrap_or(status::UNKNOWN), &outcome.message)),
            Some(status::OK) => (502, status::error_body(502, "upstream protocol error: not a gRPC response")),
            _ => (outcome.http_status(), outcome.json(transcoding.snapshot.descriptors.pool())),
        };
        let exchange = &mut self.exchanges[slot];
        exchange.grpc_status = outcome.code.and_then(|code| u8::try_from(code).ok()).unwrap_or(2);
        exchange.sides[UPSTREAM].ended = true;
        let fields = transcoding.fields.take();
        self.leave_upstream(slot, ErrorCode::NO_ERROR);
        self.send_json(slot, code, &body, fields.as_deref());
    }

    /// A health check that failed for any reason of the backend's answers 503 with the status in its body.
    pub(super) fn as_health_answer(&self, slot: u32, with: &Answer) -> Option<Vec<u8>> {
        let transcoding = self.exchanges[slot].transcoding.as_ref()?;
        let failed = with.status >= 500;
        (failed && transcoding.is_health_check())
            .then(|| health::error_body(u32::from(with.grpc_status), &with.message))
    }

    /// A route's limit on calls that say none themselves.
    pub(super) fn limit_time(&mut self, slot: u32, facts: &Facts, timeout_ms: u64, list: &mut HeaderList) {
        if timeout_ms == 0 || (facts.grpc && facts.grpc_timeout.get().is_some()) {
            return;
        }
        self.set_deadline(slot, timeout_ms);
        if facts.grpc {
            list.push(b"grpc-timeout", format_timeout(timeout_ms).as_bytes());
        }
    }
}

/// What of an HTTP request becomes metadata of the call.
fn is_passed_on(token: Token) -> bool {
    !token.is_pseudo()
        && !matches!(
            token,
            Token::ContentType
                | Token::ContentLength
                | Token::Te
                | Token::Expect
                | Token::Host
                | Token::GrpcTimeout
                | Token::ConnectionSpecific
        )
}
