use proptest::prelude::*;
use tidegate_datapath::http1::{
    BodyFraming, BodyLimits, BodyWriter, ReplyContext, ResponseError, Version, write_continue, write_head,
    write_interim,
};

use crate::body::decode;
use crate::text;

const CONTEXT: ReplyContext =
    ReplyContext { version: Version::Http11, is_head: false, accepts_trailers: false, keep_alive: true };

type Fields<'a> = &'a [(&'a str, &'a str)];

fn bytes<'a>(fields: Fields<'a>) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
}

fn head(
    context: &ReplyContext,
    status: u16,
    fields: Fields,
    is_complete: bool,
) -> Result<(String, BodyWriter), ResponseError> {
    let mut out = Vec::new();
    let writer = write_head(&mut out, context, status, bytes(fields), is_complete)?;
    Ok((text(&out), writer))
}

#[test]
fn an_unknown_length_is_chunked() {
    let mut out = Vec::new();
    let mut writer = write_head(&mut out, &CONTEXT, 200, bytes(&[("content-type", "a/b")]), false).unwrap();
    writer.write(&mut out, b"hello").unwrap();
    writer.write(&mut out, b"").unwrap();
    writer.write(&mut out, &[b'x'; 26]).unwrap();
    writer.finish(&mut out, bytes(&[("grpc-status", "0")])).unwrap();
    let expected = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: a/b\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n1a\r\n{}\r\n0\r\n\r\n",
        "x".repeat(26)
    );
    assert_eq!(text(&out), expected);
    assert!(writer.keep_alive());
}

#[test]
fn trailers_go_to_those_who_asked() {
    let context = ReplyContext { accepts_trailers: true, ..CONTEXT };
    let (_, writer) = head(&context, 200, &[], false).unwrap();
    let mut out = Vec::new();
    writer.finish(&mut out, bytes(&[("grpc-status", "0"), ("transfer-encoding", "x")])).unwrap();
    assert_eq!(text(&out), "0\r\ngrpc-status: 0\r\n\r\n");
}

#[test]
fn a_known_length_is_kept_to() {
    let (sent, writer) = head(&CONTEXT, 200, &[("Content-Length", "5")], false).unwrap();
    assert_eq!(sent, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    let mut out = Vec::new();
    let mut exact = writer;
    exact.write(&mut out, b"hello").unwrap();
    exact.finish(&mut out, []).unwrap();
    assert_eq!(out, b"hello");
    let mut short = writer;
    short.write(&mut out, b"hell").unwrap();
    assert_eq!(short.finish(&mut out, []), Err(ResponseError::BodyTooShort));
    let mut long = writer;
    assert_eq!(long.write(&mut out, b"hello!"), Err(ResponseError::BodyTooLong));
}

#[test]
fn no_body_where_there_is_none() {
    let sent = |context: &ReplyContext, status, fields, is_complete| {
        let (mut sent, mut writer) = head(context, status, fields, is_complete).unwrap();
        let mut out = Vec::new();
        writer.write(&mut out, b"ignored").unwrap_or_default();
        writer.finish(&mut out, []).unwrap_or_default();
        sent.push_str(&text(&out));
        sent
    };
    let head_request = ReplyContext { is_head: true, ..CONTEXT };
    assert_eq!(
        sent(&head_request, 200, &[("content-length", "7")], false),
        "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n"
    );
    assert_eq!(sent(&head_request, 200, &[], false), "HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(sent(&CONTEXT, 204, &[("content-length", "0")], false), "HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(
        sent(&CONTEXT, 304, &[("content-length", "7")], true),
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 7\r\n\r\n"
    );
    assert_eq!(head(&CONTEXT, 404, &[], true).unwrap().0, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
}

#[test]
fn http_1_0_gets_no_chunks() {
    let context = ReplyContext { version: Version::Http10, accepts_trailers: true, ..CONTEXT };
    let (sent, writer) = head(&context, 200, &[("content-length", "1")], false).unwrap();
    assert_eq!(sent, "HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: keep-alive\r\n\r\n");
    assert!(writer.keep_alive());
    let (sent, mut writer) = head(&context, 200, &[], false).unwrap();
    assert_eq!(sent, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
    assert!(!writer.keep_alive());
    let mut out = Vec::new();
    writer.write(&mut out, b"hello").unwrap();
    writer.finish(&mut out, bytes(&[("a", "b")])).unwrap();
    assert_eq!(out, b"hello");
}

#[test]
fn the_backend_says_nothing_about_this_connection() {
    let fields: Fields =
        &[("connection", "a"), ("Keep-Alive", "b"), ("transfer-encoding", "c"), ("upgrade", "d"), ("e", "f")];
    let (sent, _) = head(&ReplyContext { keep_alive: false, ..CONTEXT }, 799, fields, true).unwrap();
    assert_eq!(sent, "HTTP/1.1 799 \r\ne: f\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

#[test]
fn the_answer_to_what_could_not_be_read_closes() {
    let (sent, writer) = head(&ReplyContext::REFUSED, 431, &[], true).unwrap();
    assert_eq!(sent, "HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    assert!(!writer.keep_alive());
}

#[test]
fn nothing_splits_a_response() {
    let mut out = b"before".to_vec();
    for (fields, error) in [
        (&[("a", "b\r\nc: d")] as Fields, ResponseError::FieldValue),
        (&[("a", "b\n")], ResponseError::FieldValue),
        (&[("a", "b\0")], ResponseError::FieldValue),
        (&[("a\r\nb", "c")], ResponseError::FieldName),
        (&[("a: b", "c")], ResponseError::FieldName),
        (&[(":status", "200")], ResponseError::FieldName),
        (&[("", "c")], ResponseError::FieldName),
        (&[("content-length", "5, 5")], ResponseError::ContentLength),
        (&[("content-length", "5"), ("content-length", "5")], ResponseError::ContentLength),
        (&[("content-length", "5")], ResponseError::ContentLength),
    ] {
        assert_eq!(write_head(&mut out, &CONTEXT, 200, bytes(fields), true), Err(error), "{fields:?}");
    }
    for status in [0, 100, 101, 199, 1000] {
        assert_eq!(write_head(&mut out, &CONTEXT, status, [], true), Err(ResponseError::Status));
    }
    let writer = head(&ReplyContext { accepts_trailers: true, ..CONTEXT }, 200, &[], false).unwrap().1;
    assert_eq!(writer.finish(&mut out, bytes(&[("a", "\r")])), Err(ResponseError::FieldValue));
    assert_eq!(out, b"before");
}

#[test]
fn interim_responses() {
    let mut out = Vec::new();
    write_continue(&mut out);
    write_interim(&mut out, &CONTEXT, 103, bytes(&[("link", "a"), ("content-length", "3")])).unwrap();
    assert_eq!(text(&out), "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n");
    out.clear();
    write_interim(&mut out, &ReplyContext { version: Version::Http10, ..CONTEXT }, 103, []).unwrap();
    assert_eq!(out, b"");
    assert_eq!(write_interim(&mut out, &CONTEXT, 101, []), Err(ResponseError::Status));
}

proptest! {
    #[test]
    fn chunks_read_back_as_they_were_written(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6),
        mut cuts in prop::collection::vec(0usize..2000, 0..6),
    ) {
        let context = ReplyContext { accepts_trailers: true, ..CONTEXT };
        let mut out = Vec::new();
        let mut writer = write_head(&mut out, &context, 200, [], false).unwrap();
        let start = out.len();
        for piece in &pieces {
            writer.write(&mut out, piece).unwrap();
        }
        writer.finish(&mut out, bytes(&[("x-checksum", "1")])).unwrap();
        cuts.sort_unstable();
        let stream = &out[start..];
        let limits = BodyLimits { body: 0, trailer_bytes: 100, trailers: 1 };
        let (content, trailers, taken) = decode(BodyFraming::Chunked, limits, stream, &cuts).unwrap().unwrap();
        prop_assert_eq!(content, pieces.concat());
        prop_assert_eq!(trailers, [("x-checksum".to_string(), "1".to_string())]);
        prop_assert_eq!(taken, stream.len());
    }
}
