//! Requests that two implementations could read in two ways, and others that are no HTTP.

use tidegate_datapath::http1::Http1Error::{self, *};
use tidegate_datapath::http1::{BodyDecoder, Piece};

use crate::{BODY_LIMITS, accepted, parse};

/// Headers after `POST / HTTP/1.1` and `Host: a`.
const FIELDS: &[(&str, Http1Error)] = &[
    ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", ContentLengthWithTransferEncoding),
    ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", ContentLengthWithTransferEncoding),
    ("Content-Length: 5\r\nContent-Length: 6\r\n", ContentLengthRepeated),
    ("Content-Length: 5\r\ncontent-length: 5\r\n", ContentLengthRepeated),
    ("Content-Length: 5, 5\r\n", ContentLength),
    ("Content-Length: +5\r\n", ContentLength),
    ("Content-Length: -5\r\n", ContentLength),
    ("Content-Length: 0x5\r\n", ContentLength),
    ("Content-Length: 5 5\r\n", ContentLength),
    ("Content-Length:\r\n", ContentLength),
    ("Content-Length: 18446744073709551616\r\n", ContentLength),
    ("Content-Length : 5\r\n", FieldName),
    ("Transfer-Encoding : chunked\r\n", FieldName),
    ("Transfer-Encoding\t: chunked\r\n", FieldName),
    ("Transfer-Encoding: chunked, chunked\r\n", TransferEncoding),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", TransferEncoding),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", TransferEncoding),
    ("Transfer-Encoding: gzip, chunked\r\n", TransferCodingNotImplemented),
    ("Transfer-Encoding: chunked, gzip\r\n", TransferEncoding),
    ("Transfer-Encoding: identity\r\n", TransferEncoding),
    ("Transfer-Encoding: xchunked\r\n", TransferEncoding),
    ("Transfer-Encoding: \"chunked\"\r\n", TransferEncoding),
    ("Transfer-Encoding: chunked;q=1\r\n", TransferEncoding),
    ("Transfer-Encoding: ,chunked\r\n", TransferEncoding),
    ("Transfer-Encoding:\u{b}chunked\r\n", FieldValue),
    ("Transfer-Encoding:\r\n chunked\r\n", TransferEncoding),
    ("X: a\r\n\tb\r\n", FoldedField),
    ("X: a\n", BareLineEnding),
    ("X: a\nContent-Length: 5\r\n", BareLineEnding),
    ("X: a\rContent-Length: 5\r\n", FieldValue),
    ("X: a\0b\r\n", FieldValue),
    ("X: a\u{7f}\r\n", FieldValue),
    ("X\r\n", FieldName),
    (": a\r\n", FieldName),
    ("X Y: a\r\n", FieldName),
    ("X\u{e9}: a\r\n", FieldName),
    ("Host: a\r\n", HostRepeated),
    ("host: b\r\n", HostRepeated),
    ("Connection: a b\r\n", ConnectionOptions),
    ("Expect: 200-ok\r\n", Expectation),
];

/// Whole heads.
const HEADS: &[(&str, Http1Error)] = &[
    ("GET / HTTP/1.1\r\n\r\n", HostMissing),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", HostInvalid),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", HostInvalid),
    ("GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", HostInvalid),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", HostInvalid),
    ("GET / HTTP/1.1\r\nHost: a, b@c\r\n\r\n", HostInvalid),
    ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", FoldedField),
    ("GET http://b/ HTTP/1.1\r\n\r\n", HostMissing),
    ("GET http://b/ HTTP/1.1\r\nHost: a/c\r\n\r\n", HostInvalid),
    ("GET http://b/ HTTP/1.1\r\nHost: b\r\nHost: a\r\n\r\n", HostRepeated),
    ("GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", Target),
    ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Target),
    ("GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n", Target),
    ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", Target),
    ("GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", Target),
    ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", Target),
    ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Target),
    ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", Target),
    ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", Target),
    ("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", MethodNotImplemented),
    ("GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", Method),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Version),
    ("PRI * HTTP/2.0\r\n\r\n", Version),
    ("GET / HTTP/0.9\r\n\r\n", Version),
    ("GET /\r\n\r\n", RequestLine),
    ("GET / http/1.1\r\nHost: a\r\n\r\n", RequestLine),
    ("GET / HTTP/1.10\r\nHost: a\r\n\r\n", RequestLine),
    ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", RequestLine),
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
    ("GET / x HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
    ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
    ("GET / HTTP/1.1\nHost: a\r\n\r\n", BareLineEnding),
    ("GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n", BareLineEnding),
    ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
    ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", NotHttp),
    (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", NotHttp),
    ("\u{16}\u{3}\u{1}", NotHttp),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", TransferEncodingInHttp10),
    ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", HostRepeated),
];

/// What follows a head that announced chunks.
const CHUNKS: &[(&str, Http1Error)] = &[
    ("5 \r\nhello\r\n0\r\n\r\n", ChunkSize),
    (" 5\r\nhello\r\n0\r\n\r\n", ChunkSize),
    ("0x5\r\nhello\r\n0\r\n\r\n", ChunkSize),
    ("+5\r\nhello\r\n0\r\n\r\n", ChunkSize),
    ("-1\r\n", ChunkSize),
    ("\r\n", ChunkSize),
    (";a\r\n", ChunkSize),
    ("g\r\n", ChunkSize),
    ("0000000000000005\r\nhello\r\n", ChunkSize),
    ("ffffffffffffffffff\r\n", ChunkSize),
    ("5\nhello\r\n0\r\n\r\n", BareLineEnding),
    ("5\rhello\r\n0\r\n\r\n", BareLineEnding),
    ("5\r\r\nhello", BareLineEnding),
    ("5\r\nhello0\r\n\r\n", ChunkEnd),
    ("5\r\nhello\n0\r\n\r\n", ChunkEnd),
    ("5\r\nhello\r0\r\n\r\n", ChunkEnd),
    ("5;a\nb\r\nhello\r\n", ChunkExtensions),
    ("5;a\0\r\nhello\r\n", ChunkExtensions),
    ("0\r\nX: 1\n\r\n", BareLineEnding),
    ("0\r\nX : 1\r\n\r\n", FieldName),
    ("0\r\nX: 1\r\n 2\r\n\r\n", FoldedField),
    ("0\r\nX: \0\r\n\r\n", FieldValue),
    ("0\r\nContent-Length: 5\r\n\r\n", Trailer),
    ("0\r\nTransfer-Encoding: chunked\r\n\r\n", Trailer),
    ("0\r\nHost: b\r\n\r\n", Trailer),
    ("fff\r\n", BodyTooLarge),
    ("fffffffffffffff\r\n", BodyTooLarge),
];

#[test]
fn ambiguous_headers() {
    for (fields, error) in FIELDS {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(parse(request.as_bytes()), Err(*error), "{fields:?}");
    }
}

#[test]
fn malformed_heads() {
    for (head, error) in HEADS {
        assert_eq!(parse(head.as_bytes()), Err(*error), "{head:?}");
    }
}

#[test]
fn malformed_chunks() {
    let framing = accepted(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n").framing;
    for (body, error) in CHUNKS {
        let limits = tidegate_datapath::http1::BodyLimits { body: 4094, ..BODY_LIMITS };
        let mut decoder = BodyDecoder::new(framing, limits).unwrap();
        let mut rest = body.as_bytes();
        let outcome = loop {
            match decoder.decode(rest) {
                Ok(step) if matches!(step.piece, Piece::Data(_)) => rest = &rest[step.consumed..],
                Ok(step) => break Ok(step.piece),
                Err(error) => break Err(error),
            }
        };
        assert_eq!(outcome, Err(*error), "{body:?}");
    }
}

#[test]
fn every_refusal_has_a_client_or_server_error_status_and_its_own_reason() {
    let all = FIELDS.iter().chain(HEADS).chain(CHUNKS).map(|(_, error)| *error);
    let mut reasons = std::collections::HashMap::new();
    for error in all {
        assert!((400..600).contains(&error.status()), "{error:?}");
        assert_eq!(*reasons.entry(error.reason()).or_insert(error), error);
        assert!(error.reason().starts_with("http1-") && !error.reason().contains('_'));
    }
}
