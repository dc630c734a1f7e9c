//! The graceful end in two steps, and the other side of it.

use crate::end::{End, REQUEST, RESPONSE, Said, Seen, data, frame, headers};
use tidegate_datapath::http2::frame::GOAWAY;
use tidegate_datapath::http2::{ErrorCode, Event};

fn goaway(last: u32, code: ErrorCode, debug: &str) -> Said {
    let payload = [&last.to_be_bytes()[..], &code.0.to_be_bytes(), debug.as_bytes()].concat();
    Said { kind: GOAWAY, flags: 0, stream: 0, payload }
}

#[test]
fn the_announcement_refuses_nothing() {
    let mut end = End::with_streams(&[1]);
    end.connection.announce_goaway();
    assert_eq!(end.said(), [goaway(0x7fff_ffff, ErrorCode::NO_ERROR, "")]);
    assert!(matches!(end.accept(&headers(3, REQUEST))[..], [Seen::Opened { stream: 3, .. }]));
    end.connection.insert_stream(3, 3);
    end.connection.goaway(ErrorCode::NO_ERROR, "");
    assert_eq!(end.said(), [goaway(3, ErrorCode::NO_ERROR, "")]);
    assert!(end.connection.is_going_away());
}

#[test]
fn what_was_named_is_served_and_what_comes_later_is_not() {
    let mut end = End::with_streams(&[1]);
    end.connection.goaway(ErrorCode::NO_ERROR, "");
    end.said();
    assert_eq!(end.accept(&data(1, b"x")).len(), 1);
    let entry = [REQUEST, &[0x40, 1, b'a', 1, b'b']].concat();
    assert_eq!(end.accept(&headers(3, &entry)), []);
    assert_eq!(end.accept(&data(3, b"x")), []);
    assert_eq!(end.said(), [], "the client knows that these were not served");
    let seen = Seen::Headers { stream: 1, end: false, fields: vec![("a".into(), "b".into())] };
    assert_eq!(end.accept(&headers(1, &[0xbe])), [seen], "their header blocks count all the same");
}

#[test]
fn an_error_says_why() {
    let mut end = End::with_streams(&[1, 3]);
    end.connection.goaway(ErrorCode::PROTOCOL_ERROR, "what the peer did");
    assert_eq!(end.said(), [goaway(3, ErrorCode::PROTOCOL_ERROR, "what the peer did")]);
}

#[test]
fn a_client_names_no_stream_since_servers_open_none() {
    let mut end = End::client();
    end.connection.open_stream(0);
    end.connection.goaway(ErrorCode::NO_ERROR, "");
    assert_eq!(end.said(), [goaway(0, ErrorCode::NO_ERROR, "")]);
}

#[test]
fn after_a_servers_goaway_no_stream_is_opened_and_open_ones_go_on() {
    let mut end = End::client();
    assert_eq!(end.connection.open_stream(0), Some(1));
    let payload = [&0x8000_0001u32.to_be_bytes()[..], &0u32.to_be_bytes(), b"bye"].concat();
    let seen = end.accept(&frame(GOAWAY, 0, 0, &payload));
    assert_eq!(seen, [Seen::GoAway { last: 1, code: ErrorCode::NO_ERROR }], "the reserved bit is ignored");
    assert_eq!(end.connection.open_stream(1), None);
    assert!(end.connection.is_going_away());
    assert_eq!(end.accept(&headers(1, RESPONSE)).len(), 1);
}

#[test]
fn pings_tell_when_the_announcement_has_arrived() {
    let mut end = End::server();
    end.connection.ping(*b"12345678");
    let ping = end.said().remove(0);
    assert_eq!((ping.kind, ping.flags), (6, 0));
    let mut at = 0;
    let answer = frame(6, 1, 0, &ping.payload);
    let next = end.connection.next(&end.dictionary, &answer, &mut at, &mut Default::default(), 0);
    assert_eq!(next, Ok(Some(Event::PingAnswered)));
}
