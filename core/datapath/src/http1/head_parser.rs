//! The head of a request: request line and headers.
//!
//! The parser is given the whole of what has arrived, from the head's first byte, each time something arrives. It
//! keeps its place, so that a client that sends a byte at a time costs no more than one that sends all at once, and
//! refuses a bad line as soon as it is complete. It stores where things are in the buffer, not what they are: nothing
//! is copied, and nothing is allocated once its table of fields has grown to its working size.

use super::authority::is_valid_authority;
use super::error::Http1Error;
use super::fields::{Kind, is_end_to_end, kind};
use super::head::{Facts, Field, Head};
use super::request_line::{self, RequestLine, Target, Version};
use super::syntax::{Span, decimal, is_token, is_token_byte, list, split_field};

/// More would let one header make the parser compare each with each.
const MAX_CONNECTION_OPTIONS: usize = 32;

/// What HTTP/2 adds to each field's size in its limit (RFC 9113 section 6.5.2); counted here too, so that both agree.
const FIELD_OVERHEAD: usize = 32;

#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Bytes of the request line.
    pub line: usize,
    /// Bytes of all fields: name, value and 32 for each. The same bounds the bytes as sent.
    pub header_bytes: usize,
    pub headers: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    RequestLine,
    Fields,
    Done,
}

/// Reads heads, one after another. Afterwards it starts over with the next call.
#[derive(Debug, Default)]
pub struct HeadParser {
    phase: Phase,
    /// Where the line that is being read starts.
    line_start: usize,
    /// Up to where no line end is left to find.
    scanned: usize,
    fields_start: usize,
    header_bytes: usize,
    request_line: Option<RequestLine>,
    fields: Vec<Field>,
    facts: Facts,
}

impl HeadParser {
    /// `buffer` starts at the head's first byte and has only grown since the last call that returned None.
    ///
    /// None: the head is not complete. After an error the connection is to be answered and closed.
    pub fn parse<'a>(&'a mut self, buffer: &'a [u8], limits: &HeadLimits) -> Result<Option<Head<'a>>, Http1Error> {
        if self.phase == Phase::Done {
            *self = HeadParser { fields: std::mem::take(&mut self.fields), ..HeadParser::default() };
            self.fields.clear();
        }
        if buffer.first().is_some_and(|&byte| !is_token_byte(byte) && byte != b'\r') {
            return Err(Http1Error::NotHttp);
        }
        while self.phase != Phase::Done {
            let unseen = buffer.get(self.scanned..).unwrap_or_default();
            let Some(at) = memchr::memchr(b'\n', unseen) else {
                self.scanned = buffer.len();
                self.check_size(buffer.len(), limits)?;
                return Ok(None);
            };
            let end = self.scanned + at;
            self.check_size(end, limits)?;
            let start = std::mem::replace(&mut self.line_start, end + 1);
            self.scanned = end + 1;
            let line = buffer.get(start..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").ok_or(Http1Error::BareLineEnding)?;
            match self.phase {
                Phase::RequestLine => self.take_request_line(line, start)?,
                _ => self.take_field_line(buffer, line, start, limits)?,
            }
        }
        Ok(self.head(buffer))
    }

    /// `end`: up to where the line that is being read is known to reach, its CR perhaps included.
    fn check_size(&self, end: usize, limits: &HeadLimits) -> Result<(), Http1Error> {
        match self.phase {
            Phase::RequestLine if end - self.line_start > limits.line.saturating_add(1) => {
                Err(Http1Error::RequestLineTooLong)
            }
            Phase::Fields if end - self.fields_start > limits.header_bytes.saturating_add(1) => {
                Err(Http1Error::FieldsTooLarge)
            }
            _ => Ok(()),
        }
    }

    fn take_request_line(&mut self, line: &[u8], start: usize) -> Result<(), Http1Error> {
        if line.is_empty() && start == 0 {
            // One empty line before a request is ignored (RFC 9112 section 2.2).
            return Ok(());
        }
        if line.contains(&b'\r') {
            return Err(Http1Error::BareLineEnding);
        }
        self.request_line = Some(request_line::parse(line, start)?);
        self.fields_start = self.line_start;
        self.phase = Phase::Fields;
        Ok(())
    }

    fn take_field_line(
        &mut self,
        buffer: &[u8],
        line: &[u8],
        start: usize,
        limits: &HeadLimits,
    ) -> Result<(), Http1Error> {
        if line.is_empty() {
            self.phase = Phase::Done;
            return self.finish(buffer);
        }
        let (name, value) = split_field(line)?;
        self.header_bytes += name.len() + value.len() + FIELD_OVERHEAD;
        if self.header_bytes > limits.header_bytes {
            return Err(Http1Error::FieldsTooLarge);
        }
        if self.fields.len() >= limits.headers {
            return Err(Http1Error::TooManyFields);
        }
        let kind = kind(name);
        let value_start = start + line.len() - trimmed_start_length(line, name);
        let spans = Span::new(start, start + name.len()).zip(Span::new(value_start, value_start + value.len()));
        let (name_span, value_span) = spans.ok_or(Http1Error::FieldsTooLarge)?;
        self.note(kind, value, value_span)?;
        self.fields.push(Field { name: name_span, value: value_span, kind, nominated: false });
        Ok(())
    }

    fn note(&mut self, kind: Kind, value: &[u8], span: Span) -> Result<(), Http1Error> {
        let facts = &mut self.facts;
        match kind {
            Kind::Host => {
                if facts.host.replace(span).is_some() {
                    return Err(Http1Error::HostRepeated);
                }
                if !is_valid_authority(value) {
                    return Err(Http1Error::HostInvalid);
                }
            }
            Kind::ContentLength => {
                let length = decimal(value).ok_or(Http1Error::ContentLength)?;
                if facts.content_length.replace(length).is_some() {
                    return Err(Http1Error::ContentLengthRepeated);
                }
            }
            Kind::TransferEncoding => {
                check_transfer_encoding(value, facts.chunked)?;
                facts.chunked = true;
            }
            Kind::Expect => {
                if !list(value).all(|expectation| expectation.eq_ignore_ascii_case(b"100-continue")) {
                    return Err(Http1Error::Expectation);
                }
                facts.expects_continue = true;
            }
            Kind::Te => facts.accepts_trailers |= list(value).any(|coding| coding.eq_ignore_ascii_case(b"trailers")),
            Kind::Ordinary | Kind::Connection | Kind::HopByHop | Kind::Asserted => {}
        }
        Ok(())
    }

    fn finish(&mut self, buffer: &[u8]) -> Result<(), Http1Error> {
        self.apply_connection_options(buffer)?;
        let Some(RequestLine { version, target, .. }) = self.request_line else {
            return Err(Http1Error::RequestLine);
        };
        if self.facts.chunked {
            if version == Version::Http10 {
                return Err(Http1Error::TransferEncodingInHttp10);
            }
            if self.facts.content_length.is_some() {
                return Err(Http1Error::ContentLengthWithTransferEncoding);
            }
        }
        if self.facts.host.is_none() && version == Version::Http11 {
            return Err(Http1Error::HostMissing);
        }
        // What the target names replaces the Host header (RFC 9112 section 3.2.2).
        if let Target::Absolute { authority, .. } | Target::Asterisk { authority: Some(authority) } = target {
            self.facts.host = Some(authority);
        }
        Ok(())
    }

    fn apply_connection_options(&mut self, buffer: &[u8]) -> Result<(), Http1Error> {
        let mut count = 0;
        for at in 0..self.fields.len() {
            let Some(&Field { value, kind: Kind::Connection, .. }) = self.fields.get(at) else { continue };
            for option in list(value.of(buffer)) {
                count += 1;
                if count > MAX_CONNECTION_OPTIONS || !is_token(option) {
                    return Err(Http1Error::ConnectionOptions);
                }
                if option.eq_ignore_ascii_case(b"close") {
                    self.facts.close = true;
                } else if option.eq_ignore_ascii_case(b"keep-alive") {
                    self.facts.keep_alive = true;
                } else if !is_end_to_end(option) {
                    for field in &mut self.fields {
                        field.nominated |= field.name.of(buffer).eq_ignore_ascii_case(option);
                    }
                }
            }
        }
        Ok(())
    }

    fn head<'a>(&'a self, buffer: &'a [u8]) -> Option<Head<'a>> {
        let request_line = self.request_line?;
        Some(Head { buffer, request_line, fields: &self.fields, facts: self.facts, consumed: self.scanned })
    }
}

/// Bytes of a field line from where its trimmed value starts to the line's end.
fn trimmed_start_length(line: &[u8], name: &[u8]) -> usize {
    let after = line.get(name.len() + 1..).unwrap_or_default();
    after.len() - after.iter().take_while(|&&byte| byte == b' ' || byte == b'\t').count()
}

/// RFC 9112 section 6.1, without leniency: one field, exactly `chunked`.
fn check_transfer_encoding(value: &[u8], is_repeated: bool) -> Result<(), Http1Error> {
    if !is_repeated && value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let ends_in_chunked = list(value).last().is_some_and(is_chunked);
    let names_chunked_once = list(value).filter(|coding| is_chunked(coding)).count() == 1;
    if !is_repeated && ends_in_chunked && names_chunked_once && list(value).all(is_token) && list(value).count() > 1 {
        return Err(Http1Error::TransferCodingNotImplemented);
    }
    Err(Http1Error::TransferEncoding)
}
