use crate::end::{End, REQUEST, RESPONSE, Seen, frame, headers, settings};
use tidegate_datapath::http2::ErrorCode;
use tidegate_datapath::http2::frame::{ACK, SETTINGS};

#[test]
fn values_out_of_range_end_the_connection() {
    for (identifier, value, code) in [
        (2, 2, ErrorCode::PROTOCOL_ERROR),
        (4, 0x8000_0000, ErrorCode::FLOW_CONTROL_ERROR),
        (5, 16_383, ErrorCode::PROTOCOL_ERROR),
        (5, 0x100_0000, ErrorCode::PROTOCOL_ERROR),
    ] {
        assert_eq!(End::server().refuse(&settings(&[(identifier, value)])), code, "{identifier} = {value}");
    }
    assert_eq!(End::client().refuse(&settings(&[(2, 1)])), ErrorCode::PROTOCOL_ERROR, "a server never sends it");
    End::server().accept(&settings(&[(2, 1), (4, 0x7fff_ffff), (5, 16_384), (5, 0xff_ffff), (0x77, 5)]));
}

#[test]
fn malformed_settings_end_the_connection() {
    for (bytes, code) in [
        (frame(SETTINGS, 0, 0, &[0; 5]), ErrorCode::FRAME_SIZE_ERROR),
        (frame(SETTINGS, ACK, 0, &[0; 6]), ErrorCode::FRAME_SIZE_ERROR),
        (frame(SETTINGS, 0, 1, b""), ErrorCode::PROTOCOL_ERROR),
        (frame(SETTINGS, ACK, 1, b""), ErrorCode::PROTOCOL_ERROR),
    ] {
        assert_eq!(End::server().refuse(&bytes), code, "{bytes:?}");
    }
}

#[test]
fn the_window_of_streams_changes_by_the_difference() {
    let mut end = End::server();
    assert_eq!(end.connection.initial_send_window(), 65_535);
    assert_eq!(end.accept(&settings(&[(4, 10)])), [Seen::Settings { window_change: 10 - 65_535 }]);
    assert_eq!(end.accept(&settings(&[(4, 100), (4, 50)])), [Seen::Settings { window_change: 40 }]);
    assert_eq!(end.accept(&settings(&[])), [Seen::Settings { window_change: 0 }]);
    assert_eq!(end.connection.initial_send_window(), 50);
}

#[test]
fn the_peers_limit_on_streams_is_kept() {
    let mut end = End::client();
    end.accept(&settings(&[(3, 2)]));
    assert_eq!(end.connection.open_stream(0), Some(1));
    assert_eq!(end.connection.open_stream(1), Some(3));
    assert_eq!(end.connection.open_stream(2), None);
    end.connection.remove_stream(1, tidegate_datapath::http2::Ended::Complete);
    assert_eq!(end.connection.open_stream(3), Some(5));
    end.accept(&settings(&[(3, 0)]));
    assert!(!end.connection.has_room());
}

/// RFC 9113, section 6.5.3, with RFC 7541, section 4.2: a table that had to be empty for a moment is empty.
#[test]
fn table_sizes_of_one_frame_are_taken_in_order() {
    for frames in [settings(&[(1, 0), (1, 4096)]), [settings(&[(1, 0)]), settings(&[(1, 4096)])].concat()] {
        let mut end = End::with_streams(&[1, 3]);
        end.send(1, true, &[(":status", "200"), ("x-held", "by the table")]);
        end.said();
        end.accept(&frames);
        end.said();
        end.send(3, true, &[(":status", "200"), ("x-held", "by the table")]);
        let block = end.said().remove(0).payload;
        assert_eq!(block[..4], [0x20, 0x3f, 0xe1, 0x1f], "emptied, then 4096");
        assert_eq!(block[4], RESPONSE[0]);
        assert_eq!(block[5], 0x40, "a new entry, since the old one is gone");
    }
}

#[test]
fn a_larger_table_than_we_use_changes_nothing() {
    let mut end = End::with_streams(&[1]);
    end.accept(&settings(&[(1, 1 << 20)]));
    end.said();
    end.send(1, true, &[(":status", "200")]);
    assert_eq!(end.said()[0].payload, RESPONSE);
    assert_eq!(end.accept(&headers(3, REQUEST)).len(), 1);
}
