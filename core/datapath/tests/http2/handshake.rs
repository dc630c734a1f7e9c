use crate::end::{CONFIG, End, REQUEST, Said, Seen, frame, headers, settings};
use tidegate_datapath::http2::frame::{ACK, HEADER_LENGTH, SETTINGS, WINDOW_UPDATE};
use tidegate_datapath::http2::{ErrorCode, PREFACE, Role};

fn values(said: &Said) -> Vec<(u16, u32)> {
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| number << 8 | u32::from(byte));
    said.payload.chunks_exact(6).map(|entry| (number(&entry[..2]) as u16, number(&entry[2..]))).collect()
}

#[test]
fn a_server_says_its_limits_first() {
    let said = End::new(Role::Server, CONFIG).said();
    assert_eq!((said[0].kind, said[0].flags, said[0].stream), (SETTINGS, 0, 0));
    assert_eq!(values(&said[0]), [(3, 5), (4, 65_535), (6, 20_000)]);
    assert_eq!((said[1].kind, said[1].payload.as_slice()), (WINDOW_UPDATE, &(100_000u32 - 65_535).to_be_bytes()[..]));
    assert_eq!(said.len(), 2);
}

#[test]
fn a_client_begins_with_the_preface_and_refuses_pushes() {
    let mut end = End::new(Role::Client, CONFIG);
    assert!(end.connection.out.starts_with(PREFACE));
    assert_eq!(values(&end.said()[0]), [(2, 0), (4, 65_535), (6, 20_000)]);
}

#[test]
fn a_window_of_the_usual_size_is_not_spoken_of() {
    let said = End::new(Role::Server, tidegate_datapath::http2::Config { connection_window: 65_535, ..CONFIG }).said();
    assert_eq!(said.len(), 1);
}

#[test]
fn the_preface_may_come_in_any_pieces() {
    let input = [PREFACE, &settings(&[])[..], &headers(1, REQUEST)].concat();
    for size in 1..input.len() {
        let mut end = End::new(Role::Server, CONFIG);
        let (mut held, mut opened) = (Vec::new(), 0);
        for piece in input.chunks(size) {
            held.extend_from_slice(piece);
            let mut at = 0;
            while let Some(event) = end
                .connection
                .next(&end.dictionary, &held, &mut at, &mut Default::default(), 0)
                .expect("a good connection")
            {
                opened += u32::from(matches!(event, tidegate_datapath::http2::Event::Opened { .. }));
            }
            held.drain(..at);
        }
        assert_eq!((opened, held.len()), (1, 0), "in pieces of {size}");
    }
}

#[test]
fn another_preface_is_refused_at_its_first_wrong_byte() {
    for at in 0..PREFACE.len() {
        let mut wrong = PREFACE[..=at].to_vec();
        wrong[at] ^= 1;
        assert_eq!(End::new(Role::Server, CONFIG).refuse(&wrong), ErrorCode::PROTOCOL_ERROR);
    }
}

#[test]
fn the_first_frame_is_settings() {
    for first in [headers(1, REQUEST), frame(SETTINGS, ACK, 0, b""), frame(6, 0, 0, &[0; 8]), frame(99, 0, 0, b"")] {
        let mut server = End::new(Role::Server, CONFIG);
        assert_eq!(server.refuse(&[PREFACE, &first[..]].concat()), ErrorCode::PROTOCOL_ERROR, "{first:?}");
        assert!(!server.connection.is_settled());
        assert_eq!(End::new(Role::Client, CONFIG).refuse(&first), ErrorCode::PROTOCOL_ERROR, "{first:?}");
    }
}

#[test]
fn settings_are_acknowledged() {
    let mut end = End::new(Role::Server, CONFIG);
    end.said();
    assert_eq!(end.accept(&[PREFACE, &settings(&[])[..]].concat()), [Seen::Settings { window_change: 0 }]);
    assert!(end.connection.is_settled());
    let said = end.said();
    assert_eq!(said, [Said { kind: SETTINGS, flags: ACK, stream: 0, payload: vec![] }]);
    assert_eq!(end.accept(&frame(SETTINGS, ACK, 0, b"")), []);
    assert_eq!(end.said(), []);
}

#[test]
fn a_frame_that_is_too_long_is_refused_before_it_has_come() {
    let mut end = End::server();
    let whole = frame(0, 0, 1, &[0; 16_385]);
    assert_eq!(end.refuse(&whole[..HEADER_LENGTH]), ErrorCode::FRAME_SIZE_ERROR);
}

#[test]
fn what_is_not_a_whole_frame_waits() {
    let mut end = End::server();
    let ping = frame(6, 0, 0, b"12345678");
    for length in 0..ping.len() {
        let mut at = 0;
        let next = end.connection.next(&end.dictionary, &ping[..length], &mut at, &mut Default::default(), 0);
        assert_eq!((next, at), (Ok(None), 0), "{length} bytes");
    }
    assert_eq!(end.accept(&ping), []);
    assert_eq!(end.said(), [Said { kind: 6, flags: ACK, stream: 0, payload: b"12345678".to_vec() }]);
}

#[test]
fn a_client_holds_back_until_it_knows_the_limit() {
    let mut end = End::new(Role::Client, CONFIG);
    assert_eq!(end.connection.open_stream(0), None);
    end.accept(&settings(&[(3, 1)]));
    assert_eq!(end.connection.open_stream(0), Some(1));
    assert_eq!(end.connection.open_stream(1), None);
}
