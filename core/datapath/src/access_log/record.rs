use std::sync::Arc;

/// What is known of a finished request. Absent things are empty; nothing in it is a credential but perhaps a query
/// parameter, which the formatter redacts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Nanoseconds since 1970.
    pub start_unix_ns: u64,
    pub duration_ns: u64,
    /// The label that metrics have too: `pkg.Service/Method`, or `other`.
    pub method: Arc<str>,
    pub http_method: Bounded<32>,
    /// With the query, as the client sent it.
    pub path: Bounded<1024>,
    pub authority: Bounded<256>,
    pub is_tls: bool,
    pub status: u16,
    /// Of gRPC calls, whether from the backend or made here.
    pub grpc_status: Option<u8>,
    /// Why we answered in the backend's place; empty when the answer is the backend's.
    pub reason: &'static str,
    /// The rate limit that refused it.
    pub limit: Arc<str>,
    /// Content, without headers.
    pub bytes_in: u64,
    pub bytes_out: u64,
    /// The endpoint that answered.
    pub upstream: Arc<str>,
    /// By `x-forwarded-for` and the trusted hops.
    pub client: Bounded<64>,
    pub protocol: Protocol,
    pub request_id: Bounded<128>,
    pub trace: Option<TraceContext>,
    pub user_agent: Bounded<256>,
    /// Of the token that was verified.
    pub jwt_issuer: Bounded<256>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    Http10,
    Http11,
    #[default]
    Http2,
}

/// What the client sent, cut off after `LIMIT` bytes: any bytes, UTF-8 or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounded<const LIMIT: usize>(Box<[u8]>);

impl<const LIMIT: usize> Bounded<LIMIT> {
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<const LIMIT: usize> From<&[u8]> for Bounded<LIMIT> {
    fn from(bytes: &[u8]) -> Self {
        Bounded(bytes.get(..LIMIT).unwrap_or(bytes).into())
    }
}

impl<const LIMIT: usize> From<&str> for Bounded<LIMIT> {
    fn from(text: &str) -> Self {
        text.as_bytes().into()
    }
}

/// The parts of a W3C `traceparent` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    pub is_sampled: bool,
}

impl TraceContext {
    /// Reads `version-traceid-parentid-flags`; None for what W3C Trace Context section 3.2 calls invalid.
    pub fn parse(traceparent: &[u8]) -> Option<TraceContext> {
        let (fixed, more) = traceparent.split_at_checked(55)?;
        let mut parts = fixed.split(|&byte| byte == b'-');
        let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = lower_hexadecimal(version)?;
        let [flags] = lower_hexadecimal(flags)?;
        let context = TraceContext {
            trace_id: lower_hexadecimal(trace_id)?,
            span_id: lower_hexadecimal(span_id)?,
            is_sampled: flags & 1 == 1,
        };
        // Version 00 ends there; later ones may go on after another dash.
        let is_well_formed = match version {
            0xff => false,
            0 => more.is_empty(),
            _ => more.first().is_none_or(|&byte| byte == b'-'),
        };
        (is_well_formed && context.trace_id != [0; 16] && context.span_id != [0; 8]).then_some(context)
    }
}

fn lower_hexadecimal<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for &digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some(bytes)
}
