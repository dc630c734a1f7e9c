use crate::end::{CONFIG, End, Seen, data, frame, reset, window_update};
use proptest::prelude::*;
use tidegate_datapath::http2::frame::{DATA, PADDED, WINDOW_UPDATE};
use tidegate_datapath::http2::{Ended, ErrorCode};

const WINDOW: u32 = CONFIG.connection_window;
const LEFT: Ended = Ended::LeftByUs { awaited: 65_535 };

#[test]
fn credit_for_the_connection_comes_back_in_halves() {
    let mut end = End::with_streams(&[1]);
    let mut received = 0;
    for _ in 0..100 {
        end.accept(&data(1, &[0; 10_000]));
        received += 10_000;
        let credited = end.credit(0);
        assert!(credited == 0 || credited == WINDOW / 2, "{credited} at once");
        received -= credited;
        assert!(received < WINDOW / 2, "{received} held back");
    }
}

#[test]
fn data_beyond_the_connections_window_ends_the_connection() {
    // Credit is written at once, so only a window that is used up within half of it can be overrun.
    let mut end = End::new(
        tidegate_datapath::http2::Role::Server,
        tidegate_datapath::http2::Config { connection_window: 1 << 20, ..CONFIG },
    );
    end.accept(&[&tidegate_datapath::http2::PREFACE[..], &crate::end::settings(&[])].concat());
    end.accept(&crate::end::headers(1, crate::end::REQUEST));
    end.connection.insert_stream(1, 1);
    let mut windows = i64::from(1 << 20);
    for size in [16_384; 300] {
        end.said();
        windows -= size as i64;
        end.accept(&data(1, &vec![0; size]));
        windows += i64::from(end.credit(0));
        assert!(windows > 1 << 19, "the window shrinks to {windows}");
    }
}

#[test]
fn data_on_streams_that_are_gone_is_credited_too() {
    let mut end = End::with_streams(&[1, 3]);
    end.connection.remove_stream(1, LEFT);
    for _ in 0..4 {
        assert_eq!(end.accept(&data(1, &[0; 16_000])), []);
    }
    assert_eq!(end.credit(0), 64_000);
}

#[test]
fn padding_counts() {
    let mut end = End::with_streams(&[1]);
    let padded = frame(DATA, PADDED, 1, &[&[255][..], &[0; 255]].concat());
    let glitches = (WINDOW / 2).div_ceil(256);
    for _ in 0..glitches {
        assert_eq!(end.accept(&padded), [Seen::Data { stream: 1, end: false, bytes: vec![], overhead: 256 }]);
    }
    assert_eq!(end.credit(0), glitches * 256);
}

#[test]
fn what_we_send_uses_up_the_window_and_updates_fill_it() {
    let mut end = End::with_streams(&[1]);
    assert_eq!(end.connection.send_window, 65_535);
    end.connection.data(1, false, &[0; 16_384]);
    end.connection.data(1, true, b"");
    assert_eq!(end.connection.send_window, 65_535 - 16_384);
    assert_eq!(end.accept(&window_update(0, 100)), [Seen::ConnectionWindow]);
    assert_eq!(end.connection.send_window, 65_535 - 16_384 + 100);
    assert_eq!(end.accept(&window_update(1, 100)), [Seen::StreamWindow { slot: 1, increment: 100 }]);
    assert_eq!(end.connection.send_window, 65_535 - 16_384 + 100, "the stream's window is not the connection's");
}

#[test]
fn settings_do_not_change_the_connections_window() {
    let mut end = End::server();
    end.accept(&crate::end::settings(&[(4, 5)]));
    assert_eq!(end.connection.send_window, 65_535);
}

#[test]
fn a_window_over_the_largest_ends_the_connection() {
    let mut end = End::with_streams(&[1]);
    end.accept(&window_update(0, 0x7fff_ffff - 65_535));
    assert_eq!(end.connection.send_window, i32::MAX);
    assert_eq!(end.refuse(&window_update(0, 1)), ErrorCode::FLOW_CONTROL_ERROR);
}

#[test]
fn credit_for_a_stream_is_its_owners_business() {
    let mut end = End::with_streams(&[1]);
    end.accept(&data(1, &[0; 16_384]));
    assert_eq!(end.said(), []);
    end.connection.window_update(1, 16_384);
    let said = end.said();
    assert_eq!((said[0].kind, said[0].stream), (WINDOW_UPDATE, 1));
}

proptest! {
    /// Whatever comes for whichever stream: what was taken and not credited is known to both ends, and less than half.
    #[test]
    fn both_ends_know_the_connections_window(frames in proptest::collection::vec((0usize..4, 0usize..16_384, 0u8..3), 1..60)) {
        let mut end = End::with_streams(&[1, 3, 5, 7]);
        end.connection.remove_stream(5, LEFT);
        end.accept(&reset(7, ErrorCode::CANCEL));
        end.connection.remove_stream(7, Ended::ResetByPeer);
        let mut uncredited = 0;
        for (stream, length, padding) in frames {
            let stream = [1, 3, 5, 7][stream];
            let payload = match padding {
                0 => data(stream, &vec![0; length]),
                padding => frame(DATA, PADDED, stream, &[&[padding][..], &vec![0; length.max(padding as usize)]].concat()),
            };
            uncredited += payload.len() as u32 - 9;
            end.accept(&payload);
            uncredited -= end.credit(0);
            prop_assert!(uncredited < WINDOW / 2, "{} held back", uncredited);
        }
    }
}
