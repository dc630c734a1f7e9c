use proptest::prelude::*;
use tidegate_datapath::http1::{BodyDecoder, BodyFraming, BodyLimits, Http1Error, Piece};

use crate::{BODY_LIMITS, Pairs, pairs};

/// Content, trailers and bytes taken, of a stream that arrives in pieces cut at `cuts`; None when it is not complete.
pub(crate) fn decode(
    framing: BodyFraming,
    limits: BodyLimits,
    stream: &[u8],
    cuts: &[usize],
) -> Result<Option<(Vec<u8>, Pairs, usize)>, Http1Error> {
    let mut decoder = BodyDecoder::new(framing, limits)?;
    let (mut content, mut start) = (Vec::new(), 0);
    for &end in cuts.iter().chain([&stream.len()]) {
        loop {
            let step = decoder.decode(&stream[start..end.clamp(start, stream.len())])?;
            start += step.consumed;
            match step.piece {
                Piece::Data(data) => content.extend_from_slice(data),
                Piece::NeedMore => break,
                Piece::End => return Ok(Some((content, pairs(decoder.trailers()), start))),
            }
        }
    }
    assert!(!decoder.is_done());
    Ok(None)
}

fn chunked(stream: &str) -> Result<Option<(Vec<u8>, Pairs, usize)>, Http1Error> {
    decode(BodyFraming::Chunked, BODY_LIMITS, stream.as_bytes(), &[])
}

#[test]
fn a_known_length_ends_where_it_says() {
    assert_eq!(decode(BodyFraming::None, BODY_LIMITS, b"GET", &[]), Ok(Some((vec![], vec![], 0))));
    assert_eq!(decode(BodyFraming::Length(0), BODY_LIMITS, b"GET", &[]), Ok(Some((vec![], vec![], 0))));
    assert_eq!(decode(BodyFraming::Length(5), BODY_LIMITS, b"helloGET", &[2]), Ok(Some((b"hello".into(), vec![], 5))));
    assert_eq!(decode(BodyFraming::Length(5), BODY_LIMITS, b"hell", &[]), Ok(None));
}

#[test]
fn chunks_end_with_an_empty_one() {
    let (content, trailers, taken) =
        chunked("5;a=\"b c\"\r\nhello\r\n00A\r\n0123456789\r\n0\r\n\r\nGET").unwrap().unwrap();
    assert_eq!((content.as_slice(), trailers.len(), taken), (b"hello0123456789".as_slice(), 0, 40));
    assert_eq!(chunked("5\r\nhello\r\n0\r\n"), Ok(None));
}

#[test]
fn trailers_are_kept_unless_they_could_be_mistaken_for_headers() {
    let kept = |lines: &str| chunked(&format!("0\r\n{lines}\r\n")).unwrap().unwrap().1;
    assert_eq!(kept("X-Checksum: abc\r\n"), [("x-checksum".into(), "abc".into())]);
    for dropped in
        ["Authorization", "Cookie", "TE", "Connection", "X-Forwarded-For", "x_endpoint_api_userinfo", "Trailer"]
    {
        assert_eq!(kept(&format!("{dropped}: a\r\n")), [], "{dropped}");
    }
}

#[test]
fn limits_hold() {
    let limits = BodyLimits { body: 10, trailer_bytes: 20, trailers: 1 };
    let refused = |framing, stream: &str| decode(framing, limits, stream.as_bytes(), &[]).expect_err("accepted");
    assert_eq!(refused(BodyFraming::Length(11), ""), Http1Error::BodyTooLarge);
    assert_eq!(refused(BodyFraming::Chunked, "6\r\n123456\r\n5\r\n"), Http1Error::BodyTooLarge);
    assert_eq!(refused(BodyFraming::Chunked, &format!("0\r\n{}", "a".repeat(30))), Http1Error::TrailersTooLarge);
    assert_eq!(refused(BodyFraming::Chunked, &format!("0\r\n{}", "date:\r\n".repeat(9))), Http1Error::TrailersTooLarge);
    assert_eq!(refused(BodyFraming::Chunked, "0\r\na:\r\nb:\r\n\r\n"), Http1Error::TrailersTooLarge);
    assert_eq!(refused(BodyFraming::Chunked, &format!("5;{}", "a".repeat(300))), Http1Error::ChunkExtensions);
    let unlimited = BodyLimits { body: 0, ..limits };
    let many = format!("1;{}\r\nx\r\n", "a".repeat(200)).repeat(30);
    assert_eq!(decode(BodyFraming::Chunked, unlimited, many.as_bytes(), &[]), Err(Http1Error::ChunkExtensions));
    assert!(decode(BodyFraming::Length(u64::MAX), unlimited, b"", &[]).is_ok());
}

proptest! {
    #[test]
    fn how_the_network_cuts_a_body_changes_nothing(
        mut stream in "([0-9a-f]{1,2}(;a)?\r\n[a-z]{0,20}\r\n){0,4}(0\r\n(x: [a-z]{0,90}\r\n|date:\r\n){0,5}\r?\n)?.{0,4}",
        chunks in prop::collection::vec("[a-z]{1,20}", 0..4),
        mut cuts in prop::collection::vec(0usize..300, 0..8),
    ) {
        let good: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
        stream.insert_str(0, &good);
        cuts.sort_unstable();
        let whole = decode(BodyFraming::Chunked, BODY_LIMITS, stream.as_bytes(), &[]);
        let pieces = decode(BodyFraming::Chunked, BODY_LIMITS, stream.as_bytes(), &cuts);
        prop_assert_eq!(pieces, whole);
    }

    #[test]
    fn any_bytes_are_read_or_refused(stream in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(BodyFraming::Chunked, BODY_LIMITS, &stream, &[]);
    }
}
