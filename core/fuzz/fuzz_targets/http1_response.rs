//! Responses of a hostile backend, written for an HTTP/1.1 client: one response comes out, with nothing smuggled into it.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use tidegate_datapath::http1::{
    BodyDecoder, BodyFraming, BodyLimits, Piece, ReplyContext, Version, write_head, write_interim,
};

#[derive(Debug, Arbitrary)]
struct Response<'a> {
    http10: bool,
    is_head: bool,
    accepts_trailers: bool,
    keep_alive: bool,
    interim: bool,
    status: u16,
    fields: Vec<(&'a [u8], &'a [u8])>,
    content_length: Option<u8>,
    pieces: Vec<&'a [u8]>,
    trailers: Vec<(&'a [u8], &'a [u8])>,
}

/// The lines of a head, without its status line, and what follows it.
fn split(out: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let end = out.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head");
    let mut lines = Vec::new();
    let mut rest = &out[..end + 2];
    while !rest.is_empty() {
        let at = rest.windows(2).position(|window| window == b"\r\n").expect("a whole line");
        assert!(!rest[..at].iter().any(|byte| matches!(byte, b'\r' | b'\n')), "a line end of its own");
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    assert!(lines[0].starts_with(b"HTTP/1.1 "));
    (lines.split_off(1), &out[end + 4..])
}

fuzz_target!(|response: Response<'_>| {
    let context = ReplyContext {
        version: if response.http10 { Version::Http10 } else { Version::Http11 },
        is_head: response.is_head,
        accepts_trailers: response.accepts_trailers,
        keep_alive: response.keep_alive,
    };
    let length = response.content_length.map(|length| length.to_string());
    let length = length.iter().map(|length| (&b"content-length"[..], length.as_bytes()));
    let fields = || response.fields.iter().copied().chain(length.clone());
    let mut out = b"before".to_vec();
    if response.interim {
        let written = write_interim(&mut out, &context, response.status, fields());
        match (written, response.http10) {
            (Ok(()), false) => assert!(split(&out[6..]).0.len() <= response.fields.len()),
            _ => assert_eq!(out, b"before"),
        }
        return;
    }
    let status = response.status % 1100;
    let complete = response.pieces.is_empty() && response.trailers.is_empty();
    let Ok(mut writer) = write_head(&mut out, &context, status, fields(), complete) else {
        assert_eq!(out, b"before", "a refused head left something");
        return;
    };
    let head = out.split_off(6);
    let (lines, rest) = split(&head);
    assert!(rest.is_empty());
    let chunked = lines.contains(&&b"transfer-encoding: chunked"[..]);
    let lengths = lines.iter().filter(|line| line.to_ascii_lowercase().starts_with(b"content-length:")).count();
    assert!(lengths + usize::from(chunked) <= 1, "framed twice");
    assert!(!(chunked && response.http10));
    assert!(!writer.keep_alive() || chunked || lengths == 1 || context.is_head || matches!(status, 204 | 304));
    let mut body = Vec::new();
    for piece in &response.pieces {
        if writer.write(&mut body, piece).is_err() {
            return;
        }
    }
    if writer.finish(&mut body, response.trailers.iter().copied()).is_err() {
        return;
    }
    let sent = response.pieces.concat();
    if context.is_head || matches!(status, 204 | 304) {
        assert!(body.is_empty());
    } else if chunked {
        let limits = BodyLimits { body: 0, trailer_bytes: usize::MAX, trailers: usize::MAX };
        let mut decoder = BodyDecoder::new(BodyFraming::Chunked, limits).expect("chunked");
        let (mut at, mut read) = (0, Vec::new());
        // Trailers of a response may bear names that those of a request may not.
        while let Ok(step) = decoder.decode(&body[at..]) {
            at += step.consumed;
            match step.piece {
                Piece::Data(data) => read.extend_from_slice(data),
                Piece::NeedMore => panic!("cut off"),
                Piece::End => {
                    assert_eq!(at, body.len(), "something behind the response");
                    break;
                }
            }
        }
        assert_eq!(read, sent);
    } else {
        assert_eq!(body, sent);
    }
});
