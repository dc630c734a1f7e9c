//! Frames that break a rule of RFC 9113, section 6, and those of no known type.

use crate::end::{End, REQUEST, RESPONSE, Seen, data, frame, headers, reset, settings, window_update};
use tidegate_datapath::http2::ErrorCode;
use tidegate_datapath::http2::frame::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PRIORITY, PRIORITY_FLAG, PUSH_PROMISE,
    RST_STREAM, WINDOW_UPDATE,
};

const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;
const SIZE: ErrorCode = ErrorCode::FRAME_SIZE_ERROR;

#[test]
fn data_on_stream_0_is_an_error_of_the_connection() {
    assert_eq!(End::server().refuse(&data(0, b"x")), PROTOCOL);
    for streams in 1..=5u32 {
        let open: Vec<u32> = (0..streams).map(|number| number * 2 + 1).collect();
        assert_eq!(End::with_streams(&open).refuse(&data(0, b"x")), PROTOCOL, "{streams} streams are open");
    }
}

#[test]
fn malformed_frames_end_the_connection() {
    for (bytes, code) in [
        (frame(DATA, PADDED, 1, b""), PROTOCOL),
        (frame(DATA, PADDED, 1, &[3, 0, 0]), PROTOCOL),
        (headers(0, REQUEST), PROTOCOL),
        (frame(HEADERS, END_HEADERS | PADDED, 3, &[9, 0x83]), PROTOCOL),
        (frame(HEADERS, END_HEADERS | PRIORITY_FLAG, 3, &[0, 0, 0, 3, 0, 0x83]), PROTOCOL),
        (frame(HEADERS, END_HEADERS | PRIORITY_FLAG, 3, &[0, 0, 0, 1]), SIZE),
        (frame(HEADERS, END_HEADERS | PRIORITY_FLAG, 3, &[0, 0]), SIZE),
        (frame(PRIORITY, 0, 0, &[0; 5]), PROTOCOL),
        (frame(PRIORITY, 0, 7, &[0; 4]), SIZE),
        (frame(PRIORITY, 0, 7, &[0, 0, 0, 7, 0]), PROTOCOL),
        (reset(0, ErrorCode::CANCEL), PROTOCOL),
        (frame(RST_STREAM, 0, 1, &[0; 3]), SIZE),
        (frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2, 0x83]), PROTOCOL),
        (frame(PING, 0, 1, &[0; 8]), PROTOCOL),
        (frame(PING, 0, 0, &[0; 7]), SIZE),
        (frame(GOAWAY, 0, 1, &[0; 8]), PROTOCOL),
        (frame(GOAWAY, 0, 0, &[0; 7]), SIZE),
        (frame(GOAWAY, 0, 0, b""), SIZE),
        (window_update(0, 0), PROTOCOL),
        (frame(WINDOW_UPDATE, 0, 1, &[0; 5]), SIZE),
        (frame(CONTINUATION, END_HEADERS, 1, REQUEST), PROTOCOL),
    ] {
        assert_eq!(End::with_streams(&[1]).refuse(&bytes), code, "{bytes:?}");
    }
}

#[test]
fn an_idle_stream_takes_nothing_but_headers_and_priority() {
    for bytes in [data(3, b"x"), reset(3, ErrorCode::CANCEL), window_update(3, 1), window_update(2, 1), data(2, b"x")] {
        assert_eq!(End::with_streams(&[1]).refuse(&bytes), PROTOCOL, "{bytes:?}");
    }
    let mut client = End::client();
    client.connection.open_stream(0);
    for bytes in [data(3, b"x"), reset(3, ErrorCode::CANCEL), window_update(3, 1), headers(3, RESPONSE), data(0, b"x")]
    {
        assert_eq!(client.refuse(&bytes), PROTOCOL, "{bytes:?}");
    }
    assert_eq!(End::server().accept(&frame(PRIORITY, 0, 9, &[0, 0, 0, 3, 7])), []);
}

#[test]
fn a_servers_push_is_refused_by_identifier_too() {
    let mut client = End::client();
    client.connection.open_stream(0);
    assert_eq!(client.refuse(&headers(2, RESPONSE)), PROTOCOL);
}

#[test]
fn identifiers_are_odd_and_grow() {
    assert_eq!(End::server().refuse(&headers(2, REQUEST)), PROTOCOL);
    let mut end = End::with_streams(&[5, 9]);
    assert_eq!(end.refuse(&headers(7, REQUEST)), PROTOCOL);
    assert_eq!(End::with_streams(&[5]).refuse(&headers(3, REQUEST)), PROTOCOL);
    assert_eq!(End::with_streams(&[5]).refuse(&headers(1, REQUEST)), PROTOCOL);
}

#[test]
fn errors_of_one_stream_concern_it_alone() {
    let mut end = End::with_streams(&[1, 3]);
    let seen = end.accept(
        &[window_update(1, 0), frame(PRIORITY, 0, 1, &[0; 3]), frame(PRIORITY, 0, 3, &[0, 0, 0, 3, 0])].concat(),
    );
    assert_eq!(
        seen,
        [
            Seen::StreamError { stream: 1, code: PROTOCOL },
            Seen::StreamError { stream: 1, code: SIZE },
            Seen::StreamError { stream: 3, code: PROTOCOL },
        ]
    );
}

#[test]
fn unknown_types_and_flags_are_ignored() {
    let mut end = End::with_streams(&[1]);
    assert_eq!(end.accept(&frame(0x42, 0xff, 1, b"whatever")), []);
    let flags = !(END_STREAM | PADDED);
    let seen = Seen::Data { stream: 1, end: false, bytes: b"x".into(), overhead: 0 };
    assert_eq!(end.accept(&frame(DATA, flags, 1, b"x")), [seen]);
}

#[test]
fn the_reserved_bit_of_identifiers_is_ignored() {
    let mut end = End::with_streams(&[1]);
    let mut bytes = data(1, b"x");
    bytes[5] |= 0x80;
    assert_eq!(end.accept(&bytes).len(), 1);
    let mut update = window_update(1, 0x8000_0005);
    update[5] |= 0x80;
    assert_eq!(end.accept(&update), [Seen::StreamWindow { slot: 1, increment: 5 }]);
}

#[test]
fn what_belongs_to_a_stream_reaches_its_slot() {
    let mut end = End::with_streams(&[1, 3]);
    let seen = end.accept(
        &[
            frame(DATA, END_STREAM | PADDED, 3, &[2, b'a', b'b', 0, 0]),
            window_update(1, 7),
            reset(3, ErrorCode::CANCEL),
            frame(PING, 1, 0, &[0; 8]),
            settings(&[]),
        ]
        .concat(),
    );
    assert_eq!(
        seen,
        [
            Seen::Data { stream: 3, end: true, bytes: b"ab".into(), overhead: 3 },
            Seen::StreamWindow { slot: 1, increment: 7 },
            Seen::Reset { slot: 3, code: ErrorCode::CANCEL },
            Seen::PingAnswered,
            Seen::Settings { window_change: 0 },
        ]
    );
}
