/// What a client speaks on a connection without ALPN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http2,
    Http1,
    /// All bytes so far agree with the HTTP/2 preface, of which some are missing.
    NeedMore,
}

/// RFC 9113 section 3.4.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Tells the protocol from the first bytes of a connection; consumes nothing.
pub fn sniff(bytes: &[u8]) -> Protocol {
    let seen = bytes.len().min(PREFACE.len());
    match (bytes.get(..seen) == PREFACE.get(..seen), seen == PREFACE.len()) {
        (false, _) => Protocol::Http1,
        (true, true) => Protocol::Http2,
        (true, false) => Protocol::NeedMore,
    }
}
