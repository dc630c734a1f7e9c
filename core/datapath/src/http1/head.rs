use std::borrow::Cow;

use super::fields::Kind;
use super::request_line::{RequestLine, Target, Version};
use super::response::ReplyContext;
use super::syntax::Span;

/// How the end of a request's body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFraming {
    None,
    Length(u64),
    Chunked,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: Span,
    pub(super) value: Span,
    pub(super) kind: Kind,
    /// Named by the Connection header.
    pub(super) nominated: bool,
}

/// What the fields said beside themselves.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Facts {
    pub(super) host: Option<Span>,
    pub(super) content_length: Option<u64>,
    pub(super) chunked: bool,
    pub(super) close: bool,
    pub(super) keep_alive: bool,
    pub(super) expects_continue: bool,
    pub(super) accepts_trailers: bool,
}

/// A complete head, as it stands in the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    pub(super) buffer: &'a [u8],
    pub(super) request_line: RequestLine,
    pub(super) fields: &'a [Field],
    pub(super) facts: Facts,
    pub(super) consumed: usize,
}

impl<'a> Head<'a> {
    /// Bytes of the buffer that the head took; the body starts there.
    pub fn consumed(&self) -> usize {
        self.consumed
    }

    pub fn method(&self) -> &'a [u8] {
        self.request_line.method.of(self.buffer)
    }

    pub fn version(&self) -> Version {
        self.request_line.version
    }

    /// The target in origin form, or `*`: what `:path` of HTTP/2 holds.
    pub fn path(&self) -> Cow<'a, [u8]> {
        match self.request_line.target {
            Target::Origin(path) => Cow::Borrowed(path.of(self.buffer)),
            Target::Asterisk { .. } => Cow::Borrowed(b"*"),
            Target::Absolute { path_and_query, .. } => match path_and_query.of(self.buffer) {
                path @ [b'/', ..] => Cow::Borrowed(path),
                query => Cow::Owned([b"/", query].concat()),
            },
        }
    }

    /// What an absolute target names, else the Host header; empty when an HTTP/1.0 request has neither.
    pub fn authority(&self) -> &'a [u8] {
        self.facts.host.map(|host| host.of(self.buffer)).unwrap_or_default()
    }

    /// Names as the client spelt them, with values, in order; what concerns this hop alone is left out, and so are
    /// Host (see [`Head::authority`]), Expect, TE and what only the gateway may assert. Content-Length is among them.
    pub fn forwarded_fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let buffer = self.buffer;
        self.fields
            .iter()
            .filter(|field| !field.nominated && matches!(field.kind, Kind::Ordinary | Kind::ContentLength))
            .map(move |field| (field.name.of(buffer), field.value.of(buffer)))
    }

    /// Everything as sent.
    pub fn all_fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let buffer = self.buffer;
        self.fields.iter().map(move |field| (field.name.of(buffer), field.value.of(buffer)))
    }

    pub fn framing(&self) -> BodyFraming {
        match (self.facts.chunked, self.facts.content_length) {
            (true, _) => BodyFraming::Chunked,
            (false, Some(length)) => BodyFraming::Length(length),
            (false, None) => BodyFraming::None,
        }
    }

    /// The client waits for `100 Continue` before it sends its body. HTTP/1.0 has no such thing.
    pub fn expects_continue(&self) -> bool {
        self.facts.expects_continue && self.version() == Version::Http11 && self.framing() != BodyFraming::None
    }

    /// What of the request decides the form of its response.
    pub fn reply_context(&self) -> ReplyContext {
        let version = self.version();
        ReplyContext {
            version,
            is_head: self.method() == b"HEAD",
            accepts_trailers: self.facts.accepts_trailers,
            keep_alive: !self.facts.close && (version == Version::Http11 || self.facts.keep_alive),
        }
    }
}
