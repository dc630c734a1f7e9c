//! What a peer may make us do for nothing.

use crate::end::{End, REQUEST, data, frame, headers, reset, settings, window_update};
use tidegate_datapath::http2::frame::{GOAWAY, PING, PRIORITY};
use tidegate_datapath::http2::{Ended, ErrorCode};

/// How many times `step` is taken before the connection ends; it has to end for the flood.
fn endured(mut end: End, mut step: impl FnMut(&mut End, u32) -> Vec<u8>) -> u32 {
    for count in 0..100_000 {
        let bytes = step(&mut end, count);
        end.connection.out.clear();
        if let (_, Some(error)) = end.take(&bytes) {
            assert_eq!(error.code, ErrorCode::ENHANCE_YOUR_CALM);
            return count;
        }
    }
    panic!("endured without end");
}

#[test]
fn floods_of_frames_that_move_nothing_end_the_connection() {
    for bytes in [
        frame(PING, 0, 0, &[0; 8]),
        settings(&[]),
        settings(&[(4, 0), (4, 65_535)]),
        data(1, b""),
        frame(PRIORITY, 0, 9, &[0; 5]),
        frame(GOAWAY, 0, 0, &[0; 8]),
        frame(0x42, 0, 0, b""),
        window_update(1, 1),
        window_update(0, 1),
    ] {
        let count = endured(End::with_streams(&[1]), |_, _| bytes.clone());
        assert!((9_000..11_000).contains(&count), "{count} times {bytes:?}");
    }
}

#[test]
fn rapid_resets_end_the_connection() {
    let count = endured(End::server(), |end, count| {
        let stream = count * 2 + 1;
        if count > 0 {
            end.connection.remove_stream(stream - 2, Ended::ResetByPeer);
        }
        end.accept(&headers(stream, REQUEST));
        end.connection.insert_stream(stream, count);
        reset(stream, ErrorCode::CANCEL)
    });
    assert!((900..1_100).contains(&count), "{count}");
}

/// We leave more streams, each ten bytes before its end, than a peer may do anything for nothing; `late` comes for each.
fn leave_many(late: impl Fn(u32) -> Vec<u8>) {
    let mut end = End::server();
    for count in 0..50_000 {
        let stream = count * 2 + 1;
        end.accept(&headers(stream, REQUEST));
        end.connection.insert_stream(stream, count);
        end.connection.remove_stream(stream, Ended::LeftByUs { awaited: 10 });
        end.accept(&late(stream));
        end.connection.out.clear();
    }
}

/// Whoever has its answer need not send the rest of its request.
#[test]
fn to_reset_what_we_left_is_no_offence() {
    leave_many(|stream| reset(stream, ErrorCode::CANCEL));
}

#[test]
fn to_reset_the_same_stream_again_is_one() {
    let mut end = End::with_streams(&[1]);
    end.connection.remove_stream(1, Ended::LeftByUs { awaited: 10 });
    let count = endured(end, |_, _| reset(1, ErrorCode::CANCEL));
    assert!((9_000..11_000).contains(&count), "{count}");
}

/// A client whose requests are answered before their bodies have come does nothing wrong, however many there are.
#[test]
fn what_was_awaited_when_we_left_is_no_offence() {
    leave_many(|stream| data(stream, b"0123456789"));
}

#[test]
fn more_than_was_awaited_when_we_left_is_one() {
    let mut end = End::with_streams(&[1]);
    end.connection.remove_stream(1, Ended::LeftByUs { awaited: 9 });
    let count = endured(end, |_, _| data(1, b"0123456789"));
    assert!((9_000..11_000).contains(&count), "{count}");
}

#[test]
fn streams_over_the_limit_count_as_resets() {
    let count = endured(End::with_streams(&[1, 3, 5, 7, 9]), |_, count| headers(count * 2 + 11, REQUEST));
    assert!((900..1_100).contains(&count), "{count}");
}

#[test]
fn being_made_to_reset_counts_as_resetting() {
    let mut end = End::server();
    let mut count = 0;
    while end.connection.reset_offender(count * 2 + 1, ErrorCode::PROTOCOL_ERROR, 0).is_ok() {
        count += 1;
        assert!(count < 10_000, "endured without end");
    }
    assert!((900..1_100).contains(&count), "{count}");
}

#[test]
fn honest_rates_go_on_for_ever() {
    let mut end = End::with_streams(&[1]);
    for second in 1..300 {
        end.now_ms = second * 1000;
        for _ in 0..300 {
            end.accept(&frame(PING, 0, 0, &[0; 8]));
        }
        for _ in 0..90 {
            end.accept(&reset(1, ErrorCode::CANCEL));
        }
        end.connection.out.clear();
    }
}

/// A backend may end its streams as often as it likes: it is we who open them.
#[test]
fn a_servers_resets_are_not_counted() {
    let mut end = End::client();
    for _ in 0..20_000 {
        let stream = end.connection.open_stream(0).expect("room");
        end.accept(&reset(stream, ErrorCode::REFUSED_STREAM));
        end.connection.remove_stream(stream, Ended::ResetByPeer);
    }
}

/// Who receives much has to give much credit.
#[test]
fn updates_are_measured_by_what_was_sent() {
    let mut end = End::with_streams(&[1]);
    for _ in 0..50_000 {
        end.connection.data(1, false, b"x");
        end.connection.out.clear();
        end.accept(&[window_update(1, 1), window_update(0, 1)].concat());
    }
}
