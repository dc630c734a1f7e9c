//! Frames on streams that are gone, by how they ended (RFC 9113, section 5.1, "closed").

use crate::end::{End, REQUEST, RESPONSE, data, frame, headers, reset, window_update};
use tidegate_datapath::http2::frame::{PRIORITY, RST_STREAM};
use tidegate_datapath::http2::{Ended, ErrorCode};

const LEFT: Ended = Ended::LeftByUs { awaited: 8 };

fn ended(how: Ended) -> End {
    let mut end = End::with_streams(&[1]);
    end.connection.remove_stream(1, how);
    end
}

#[test]
fn after_end_stream_more_is_an_error_of_the_connection() {
    assert_eq!(ended(Ended::Complete).refuse(&data(1, b"x")), ErrorCode::STREAM_CLOSED);
    assert_eq!(ended(Ended::Complete).refuse(&headers(1, REQUEST)), ErrorCode::STREAM_CLOSED);
}

#[test]
fn after_the_peers_reset_more_is_an_error_of_the_stream() {
    for late in [data(1, b"x"), headers(1, REQUEST)] {
        let mut end = ended(Ended::ResetByPeer);
        assert_eq!(end.accept(&late), []);
        let said = end.said();
        assert_eq!((said[0].kind, said[0].stream, said[0].payload.as_slice()), (RST_STREAM, 1, &[0, 0, 0, 5][..]));
        assert_eq!(end.accept(&late), [], "from here on it is we who reset it");
        assert_eq!(end.said(), []);
    }
}

#[test]
fn after_we_left_frames_may_still_be_on_their_way() {
    let mut end = ended(LEFT);
    assert_eq!(end.accept(&[data(1, b"x"), headers(1, REQUEST)].concat()), []);
    assert_eq!(end.said(), []);
}

#[test]
fn resets_updates_and_priorities_may_come_late_however_it_ended() {
    for how in [Ended::Complete, Ended::ResetByPeer, LEFT] {
        let mut end = ended(how);
        let late =
            [window_update(1, 5), window_update(1, 0), frame(PRIORITY, 0, 1, &[0; 5]), reset(1, ErrorCode::CANCEL)];
        assert_eq!(end.accept(&late.concat()), [], "{how:?}");
        assert_eq!(end.said(), []);
    }
}

#[test]
fn a_stream_that_was_reset_for_its_own_fault_is_reset_by_us() {
    let mut end = End::with_streams(&[1]);
    end.connection.remove_stream(1, Ended::ResetByPeer);
    end.connection.reset_offender(1, ErrorCode::PROTOCOL_ERROR, 0).expect("the first");
    end.said();
    assert_eq!(end.accept(&data(1, b"x")), []);
    assert_eq!(end.said(), []);
}

/// Of streams that ended long ago we do not know how: the mildest answer is always allowed.
#[test]
fn what_was_forgotten_is_ignored() {
    let mut end = End::server();
    for number in 0..200 {
        let stream = number * 2 + 1;
        end.accept(&headers(stream, REQUEST));
        end.connection.insert_stream(stream, number);
        end.connection.remove_stream(stream, Ended::Complete);
    }
    assert_eq!(end.accept(&data(1, b"x")), []);
    assert_eq!(end.refuse(&data(399, b"x")), ErrorCode::STREAM_CLOSED, "the last is remembered");
}

#[test]
fn a_client_ignores_what_comes_late() {
    for how in [Ended::Complete, Ended::ResetByPeer, LEFT] {
        let mut end = End::client();
        end.connection.open_stream(0);
        end.connection.remove_stream(1, how);
        assert_eq!(end.accept(&[headers(1, RESPONSE), data(1, b"x"), reset(1, ErrorCode::CANCEL)].concat()), []);
        assert_eq!(end.said(), []);
    }
}
