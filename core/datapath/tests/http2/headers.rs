//! Header blocks over several frames, and what they carry.

use crate::end::{CONFIG, End, REQUEST, RESPONSE, Seen, data, frame, headers};
use tidegate_datapath::http2::ErrorCode;
use tidegate_datapath::http2::frame::{
    CONTINUATION, END_HEADERS, END_STREAM, HEADERS, MAX_FRAME_SIZE, PADDED, PING, PRIORITY_FLAG,
};

fn opened(stream: u32, end: bool) -> Seen {
    let fields = [(":method", "POST"), (":scheme", "http"), (":path", "/")];
    Seen::Opened { stream, end, fields: fields.map(|(name, value)| (name.into(), value.into())).into() }
}

#[test]
fn a_block_may_be_spread_over_frames() {
    let mut end = End::server();
    assert_eq!(end.accept(&frame(HEADERS, END_STREAM, 1, &REQUEST[..1])), []);
    assert!(end.connection.in_header_block());
    assert_eq!(end.accept(&frame(CONTINUATION, 0, 1, b"")), []);
    assert_eq!(end.accept(&frame(CONTINUATION, END_HEADERS, 1, &REQUEST[1..])), [opened(1, true)]);
    assert!(!end.connection.in_header_block());
}

#[test]
fn padding_and_priority_are_no_part_of_a_block() {
    let mut end = End::server();
    let payload = [&[2, 0, 0, 0, 5, 9][..], REQUEST, &[0, 0]].concat();
    assert_eq!(end.accept(&frame(HEADERS, END_HEADERS | PADDED | PRIORITY_FLAG, 1, &payload)), [opened(1, false)]);
    let spread = frame(HEADERS, PADDED | PRIORITY_FLAG, 3, &payload);
    assert_eq!(end.accept(&[spread, frame(CONTINUATION, END_HEADERS, 3, b"")].concat()), [opened(3, false)]);
}

#[test]
fn nothing_else_comes_within_a_block() {
    let begun = frame(HEADERS, 0, 3, REQUEST);
    for other in [
        data(1, b"x"),
        headers(5, REQUEST),
        frame(CONTINUATION, END_HEADERS, 1, b""),
        frame(PING, 0, 0, &[0; 8]),
        frame(99, 0, 0, b""),
    ] {
        let mut end = End::with_streams(&[1]);
        assert_eq!(end.refuse(&[begun.clone(), other].concat()), ErrorCode::PROTOCOL_ERROR);
    }
}

#[test]
fn a_block_without_end_ends_the_connection() {
    let mut end = End::server();
    end.accept(&frame(HEADERS, 0, 1, b""));
    let mut frames = 0;
    let error = loop {
        match end.take(&frame(CONTINUATION, 0, 1, b"")) {
            (_, Some(error)) => break error,
            _ => frames += 1,
        }
    };
    assert_eq!((error.code, frames), (ErrorCode::ENHANCE_YOUR_CALM, 16));

    // Four times what the list may hold is still taken, to be answered 431.
    let mut end = End::server();
    end.accept(&frame(HEADERS, 0, 1, &[0; 16_000]));
    for _ in 0..4 {
        end.accept(&frame(CONTINUATION, 0, 1, &[0; 16_000]));
    }
    assert_eq!(end.refuse(&frame(CONTINUATION, 0, 1, &[0])), ErrorCode::ENHANCE_YOUR_CALM);
}

#[test]
fn a_block_that_cannot_be_decoded_ends_the_connection() {
    for block in [&[0x80][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff], &[0xc0], &[0x40, 5, b'a'], &[0x83, 0x3f, 0x00]] {
        assert_eq!(End::server().refuse(&headers(1, block)), ErrorCode::COMPRESSION_ERROR, "{block:?}");
    }
}

#[test]
fn headers_of_an_open_stream_are_its_own() {
    let mut end = End::with_streams(&[1]);
    let trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0, 1, b'a', 1, b'b']);
    let seen = Seen::Headers { stream: 1, end: true, fields: vec![("a".into(), "b".into())] };
    assert_eq!(end.accept(&trailers), [seen]);
    let mut client = End::client();
    client.connection.open_stream(9);
    let seen = Seen::Headers { stream: 1, end: false, fields: vec![(":status".into(), "200".into())] };
    assert_eq!(client.accept(&headers(1, RESPONSE)), [seen]);
}

/// The table follows every block, also those of streams that are refused or gone.
#[test]
fn blocks_of_refused_streams_change_the_table() {
    let mut end = End::with_streams(&[1, 3, 5, 7, 9]);
    assert_eq!(end.connection.stream_count(), CONFIG.max_concurrent_streams as usize);
    let entry = [REQUEST, &[0x40, 1, b'a', 1, b'b']].concat();
    assert_eq!(end.accept(&headers(11, &entry)), []);
    let said = end.said();
    assert_eq!(
        (said[0].kind, said[0].stream, said[0].payload.as_slice()),
        (3, 11, &[0, 0, 0, 7][..]),
        "REFUSED_STREAM"
    );
    let seen = Seen::Headers { stream: 1, end: false, fields: vec![("a".into(), "b".into())] };
    assert_eq!(end.accept(&headers(1, &[0xbe])), [seen]);
}

#[test]
fn a_long_block_is_written_in_frames_that_every_peer_takes() {
    for length in [MAX_FRAME_SIZE - 30, MAX_FRAME_SIZE, MAX_FRAME_SIZE + 1, 2 * MAX_FRAME_SIZE + 100] {
        let mut end = End::with_streams(&[1]);
        let value = "v".repeat(length);
        end.send(1, true, &[(":status", "200"), ("x-long", &value)]);
        let out = end.connection.out.clone();
        let said = end.said();
        assert_eq!((said[0].kind, said[0].flags & END_STREAM), (HEADERS, END_STREAM));
        for (number, frame) in said.iter().enumerate() {
            let last = number + 1 == said.len();
            assert_eq!(frame.flags & END_HEADERS != 0, last);
            assert_eq!(frame.flags & END_STREAM != 0, number == 0);
            assert_eq!((frame.kind, frame.stream), (if number == 0 { HEADERS } else { CONTINUATION }, 1));
        }
        let limits = tidegate_datapath::http2::hpack::Limits { bytes: 1 << 20, fields: 9 };
        let mut client = End::new(
            tidegate_datapath::http2::Role::Client,
            tidegate_datapath::http2::Config { headers: limits, ..CONFIG },
        );
        client.accept(&crate::end::settings(&[]));
        client.connection.open_stream(0);
        let fields = vec![(":status".into(), "200".into()), ("x-long".into(), value)];
        assert_eq!(client.accept(&out), [Seen::Headers { stream: 1, end: true, fields }]);
    }
}
