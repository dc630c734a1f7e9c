//! Requests of HTTP/1.1, one after another: whatever way the network cuts them, the same comes out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate_datapath::http1::{
    BodyDecoder, BodyFraming, BodyLimits, Head, HeadLimits, HeadParser, Http1Error, Piece, Protocol, ReplyContext,
    sniff,
};
use tidegate_fuzz::choices::Choices;

const HEAD_LIMITS: HeadLimits = HeadLimits { line: 128, header_bytes: 512, headers: 8 };
const BODY_LIMITS: BodyLimits = BodyLimits { body: 1024, trailer_bytes: 128, trailers: 3 };
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    method: Vec<u8>,
    path: Vec<u8>,
    authority: Vec<u8>,
    fields: Fields,
    framing: BodyFraming,
    reply: ReplyContext,
    expects_continue: bool,
    body: Vec<u8>,
    trailers: Fields,
    complete: bool,
}

fn owned<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Fields {
    fields.map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
}

fn seen(head: &Head<'_>) -> Seen {
    assert!(head.method().iter().all(u8::is_ascii_graphic));
    assert!(head.path().starts_with(b"/") || *head.path() == *b"*");
    for (name, value) in head.all_fields() {
        assert!(!name.is_empty() && !value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
    Seen {
        method: head.method().to_vec(),
        path: head.path().into_owned(),
        authority: head.authority().to_vec(),
        fields: owned(head.forwarded_fields()),
        framing: head.framing(),
        reply: head.reply_context(),
        expects_continue: head.expects_continue(),
        body: Vec::new(),
        trailers: Vec::new(),
        complete: false,
    }
}

/// Requests and, where one came, the error that ended the connection.
fn run(input: &[u8], cuts: &[usize]) -> (Vec<Seen>, Option<Http1Error>) {
    let (mut parser, mut body): (HeadParser, Option<BodyDecoder>) = Default::default();
    let mut requests: Vec<Seen> = Vec::new();
    let (mut held, mut start) = (Vec::new(), 0);
    for &end in cuts {
        held.extend_from_slice(&input[start..end]);
        start = end;
        loop {
            let Some(decoder) = &mut body else {
                let head = match parser.parse(&held, &HEAD_LIMITS) {
                    Ok(Some(head)) => head,
                    Ok(None) => break,
                    Err(error) => return (requests, Some(error)),
                };
                requests.push(seen(&head));
                let (framing, consumed) = (head.framing(), head.consumed());
                match BodyDecoder::new(framing, BODY_LIMITS) {
                    Ok(decoder) => body = Some(decoder),
                    Err(error) => return (requests, Some(error)),
                }
                held.drain(..consumed);
                continue;
            };
            let request = requests.last_mut().expect("the body's request");
            let step = match decoder.decode(&held) {
                Ok(step) => step,
                Err(error) => return (requests, Some(error)),
            };
            let consumed = step.consumed;
            match step.piece {
                Piece::Data(data) => {
                    assert!(!data.is_empty());
                    request.body.extend_from_slice(data);
                    assert!(request.body.len() as u64 <= BODY_LIMITS.body);
                }
                Piece::NeedMore => {
                    held.drain(..consumed);
                    break;
                }
                Piece::End => {
                    request.trailers = owned(decoder.trailers());
                    request.complete = true;
                    body = None;
                }
            }
            held.drain(..consumed);
        }
    }
    (requests, None)
}

fuzz_target!(|input: &[u8]| {
    let whole = run(input, &[input.len()]);
    assert_eq!(whole, run(input, &Choices::of(input, 0).cuts(input.len())));
    if sniff(input) == Protocol::Http2 {
        assert!(whole.0.is_empty(), "the preface of HTTP/2 is a request, too");
    }
});
