//! The requests: the header set of a real gRPC client, part of which changes per connection and part per request.

use std::cell::Cell;
use std::io;
use std::rc::Rc;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, TE, USER_AGENT};
use http::{HeaderMap, Method, Request, Uri, Version};
use tidegate_bench::{ECHO, FEED, HEALTH_HTTP};

use crate::options::{CallKind, Options, TokenChange};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Deadline that clients set, microseconds: what is left of it when the request is sent differs from call to call.
const DEADLINE_MICROSECONDS: u64 = 30_000_000;

/// Tokens in turn; shared by all connections of a thread.
pub(crate) struct Tokens {
    values: Vec<HeaderValue>,
    next: Cell<usize>,
}

impl Tokens {
    /// `start` and `step` deal the tokens out to threads.
    pub(crate) fn read(options: &Options, start: usize, step: usize) -> io::Result<Option<Rc<Self>>> {
        let Some(path) = &options.tokens else { return Ok(None) };
        let text = std::fs::read_to_string(path)?;
        let values: Result<Vec<_>, _> = text
            .split_ascii_whitespace()
            .skip(start)
            .step_by(step)
            .map(|token| HeaderValue::from_str(&format!("Bearer {token}")))
            .collect();
        match values {
            Ok(values) if !values.is_empty() => Ok(Some(Rc::new(Self { values, next: Cell::new(0) }))),
            _ => Err(io::Error::other(format!("{}: no tokens, or not header values", path.display()))),
        }
    }

    fn next(&self) -> HeaderValue {
        let index = self.next.get();
        self.next.set((index + 1) % self.values.len());
        self.values[index].clone()
    }
}

/// Makes one connection's requests.
pub(crate) struct Requests {
    method: Method,
    uri: Uri,
    version: Version,
    fixed: HeaderMap,
    per_request: Option<Rc<Tokens>>,
    grpc: bool,
    random: Cell<u64>,
}

impl Requests {
    /// `connection` numbers the connections of the whole run from 0.
    pub(crate) fn new(options: &Options, tokens: Option<&Rc<Tokens>>, connection: usize) -> Self {
        let (path, grpc) = match options.call {
            CallKind::Echo => (ECHO, true),
            CallKind::Feed => (FEED, true),
            CallKind::HealthH2 | CallKind::HealthHttp1 => (HEALTH_HTTP, false),
        };
        let http1 = options.call == CallKind::HealthHttp1;
        let scheme = if options.ca.is_some() { "https" } else { "http" };
        let authority = if options.ca.is_some() {
            format!("localhost:{}", options.target.port())
        } else {
            options.target.to_string()
        };
        let uri = if http1 { path.to_owned() } else { format!("{scheme}://{authority}{path}") };

        let mut fixed = HeaderMap::new();
        if grpc {
            fixed.insert(TE, HeaderValue::from_static("trailers"));
            fixed.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            fixed.insert(USER_AGENT, value(&format!("grpc-go/1.{}.0", 60 + connection % 16)));
        } else {
            fixed.insert(ACCEPT, HeaderValue::from_static("application/json"));
            fixed.insert(USER_AGENT, value(&format!("kube-probe/1.{}", 20 + connection % 16)));
        }
        if http1 {
            fixed.insert(http::header::HOST, value(&authority));
        }
        let mut per_request = None;
        if let Some(tokens) = tokens {
            match options.token_change {
                TokenChange::Connection => drop(fixed.insert(AUTHORIZATION, tokens.next())),
                TokenChange::Request => per_request = Some(Rc::clone(tokens)),
            }
        }
        Self {
            method: if grpc { Method::POST } else { Method::GET },
            uri: uri.parse().expect("made of a socket address and a constant path"),
            version: if http1 { Version::HTTP_11 } else { Version::HTTP_2 },
            fixed,
            per_request,
            grpc,
            random: Cell::new((options.seed ^ (connection as u64 + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
        }
    }

    pub(crate) fn next<B>(&self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = self.version;
        let headers = request.headers_mut();
        headers.clone_from(&self.fixed);
        if self.grpc {
            let left = DEADLINE_MICROSECONDS - self.random() % 1000;
            headers.insert(GRPC_TIMEOUT, value(&format!("{left}u")));
            let (high, low, span) = (self.random(), self.random(), self.random());
            headers.insert(TRACEPARENT, value(&format!("00-{high:016x}{low:016x}-{span:016x}-01")));
        }
        if let Some(tokens) = &self.per_request {
            headers.insert(AUTHORIZATION, tokens.next());
        }
        request
    }

    /// Marsaglia's xorshift64.
    fn random(&self) -> u64 {
        let mut value = self.random.get();
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
        self.random.set(value);
        value
    }
}

fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("made of digits and letters")
}
