//! What the gateway does with a request's fields by their names.

/// How a field of a head is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ordinary,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    Te,
    Expect,
    /// Concerns this connection alone (RFC 9110 section 7.6.1), or is an upgrade, which is not served.
    HopByHop,
    /// Only the gateway may say this to a backend.
    Asserted,
}

pub(super) fn kind(name: &[u8]) -> Kind {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    match name.len() {
        2 if is("te") => Kind::Te,
        4 if is("host") => Kind::Host,
        6 if is("expect") => Kind::Expect,
        7 if is("upgrade") || is("trailer") => Kind::HopByHop,
        10 if is("connection") => Kind::Connection,
        10 if is("keep-alive") => Kind::HopByHop,
        14 if is("content-length") => Kind::ContentLength,
        14 if is("http2-settings") => Kind::HopByHop,
        16 if is("proxy-connection") => Kind::HopByHop,
        17 if is("transfer-encoding") => Kind::TransferEncoding,
        _ if is_asserted(name) => Kind::Asserted,
        _ => Kind::Ordinary,
    }
}

/// Whether a field says what only the gateway may say: `x-endpoint-api-*` and `x-forwarded-client-cert`.
///
/// In any case, and with `_` for `-`: backends that map header names to variables (CGI, WSGI) take both for the same.
pub fn is_asserted(name: &[u8]) -> bool {
    let starts_with = |prefix: &[u8]| {
        name.len() >= prefix.len()
            && name.iter().zip(prefix).all(|(&byte, &wanted)| match byte {
                b'_' => wanted == b'-',
                _ => byte.to_ascii_lowercase() == wanted,
            })
    };
    const CLIENT_CERTIFICATE: &[u8] = b"x-forwarded-client-cert";
    matches!(name.first(), Some(b'x' | b'X'))
        && (starts_with(b"x-endpoint-api-")
            || (name.len() == CLIENT_CERTIFICATE.len() && starts_with(CLIENT_CERTIFICATE)))
}

/// Fields that a client cannot have removed by naming them in its Connection header.
///
/// A gateway that obeys for these would let a client strip what a proxy before it said about the client, or its own
/// routing and framing. The names are those of RFC 9110 that are end-to-end by definition, and what proxies add.
pub(super) fn is_end_to_end(name: &[u8]) -> bool {
    const NAMES: [&str; 20] = [
        "host",
        "content-length",
        "content-type",
        "content-encoding",
        "transfer-encoding",
        "authorization",
        "cookie",
        "cache-control",
        "date",
        "expect",
        "origin",
        "user-agent",
        "via",
        "forwarded",
        "x-api-key",
        "x-goog-iap-jwt-assertion",
        "x-real-ip",
        "x-request-id",
        "x-cloud-trace-context",
        "tracestate",
    ];
    const PREFIXES: [&str; 4] = ["x-forwarded-", "x-envoy-", "grpc-", "traceparent"];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        || PREFIXES
            .iter()
            .any(|prefix| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes())))
}

/// What becomes of a trailer of a request (RFC 9110 section 6.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrailerFate {
    Keep,
    /// Ignored: a recipient that merged it into the headers would act on it.
    Drop,
    /// Delimits or routes the message: nobody who means well sends it.
    Refuse,
}

/// Whether a field may follow a request's body, in either version of HTTP; `name` is lower case.
pub(crate) fn may_trail(name: &[u8]) -> bool {
    matches!(trailer_fate(name), TrailerFate::Keep)
}

pub(super) fn trailer_fate(name: &[u8]) -> TrailerFate {
    const DROPPED: [&str; 27] = [
        "accept-encoding",
        "age",
        "authorization",
        "cache-control",
        "content-encoding",
        "content-range",
        "content-type",
        "cookie",
        "date",
        "expires",
        "forwarded",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "max-forwards",
        "pragma",
        "proxy-authenticate",
        "proxy-authorization",
        "range",
        "set-cookie",
        "www-authenticate",
        "x-api-key",
        "x-goog-iap-jwt-assertion",
        "x-http-method-override",
        "grpc-timeout",
    ];
    match kind(name) {
        Kind::Host | Kind::ContentLength | Kind::TransferEncoding => TrailerFate::Refuse,
        Kind::Ordinary if !DROPPED.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())) => {
            let forwarded = name.get(..12).is_some_and(|start| start.eq_ignore_ascii_case(b"x-forwarded-"));
            if forwarded { TrailerFate::Drop } else { TrailerFate::Keep }
        }
        _ => TrailerFate::Drop,
    }
}
