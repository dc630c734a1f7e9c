use crate::server::{Asked, Http2, Server, message, probe, reset, until_closed};
use serde_json::json;
use std::sync::mpsc::channel;
use tidegate_datapath::http2::frame;
use tidegate_datapath::probe::{Observation, Outcome};

/// Probes a server that answers in this way.
fn answered(script: impl FnOnce(&mut Http2) + Send + 'static) -> Observation {
    let server = Server::one(move |socket| {
        let mut http2 = Http2::new(socket);
        script(&mut http2);
        http2.until_closed();
    });
    probe("grpc", server.address, json!({}))
}

fn is(observation: &Observation, outcome: Outcome, text: &str) {
    assert_eq!(observation.finding.outcome, outcome, "{observation:?}");
    assert!(observation.finding.text.contains(text), "{observation:?}");
    assert!(observation.connected, "{observation:?}");
    assert_eq!(observation.healthy, outcome == Outcome::Serving);
}

#[test]
fn what_the_server_says_is_told() {
    for (status, outcome) in [
        (0, Outcome::Unknown),
        (1, Outcome::Serving),
        (2, Outcome::NotServing),
        (3, Outcome::ServiceUnknown),
        (7, Outcome::Unknown),
    ] {
        let observation = answered(move |http2| http2.check(status));
        is(&observation, outcome, "");
        assert_eq!(observation.finding.grpc_status, Some(0));
        assert!(observation.answer_ms.is_some());
    }
}

#[test]
fn the_question_is_that_of_the_health_service() {
    let (sender, receiver) = channel();
    let server = Server::one(move |socket| {
        let mut http2 = Http2::new(socket);
        let asked = http2.asked();
        http2.answer_health(asked.stream, 1);
        http2.headers(asked.stream, true, &[("grpc-status", "0")]);
        sender.send(asked).unwrap();
        http2.until_closed();
    });
    let more = json!({
        "service": "a.Service", "headers": [["X-Key", "value"], ["authorization", "Bearer t"]], "answer_timeout_ms": 12_345,
    });
    assert!(probe("grpc", server.address, more).healthy);
    let asked: Asked = receiver.recv().unwrap();
    for (name, value) in [
        (":method", "POST"),
        (":path", "/grpc.health.v1.Health/Check"),
        (":scheme", "http"),
        (":authority", "app.example:1"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("user-agent", "test"),
        ("grpc-timeout", "12345m"),
        ("x-key", "value"),
        ("authorization", "Bearer t"),
    ] {
        assert_eq!(asked.field(name), Some(value), "{name} of {:?}", asked.fields);
    }
    assert_eq!(asked.body, message(b"\x0a\x09a.Service"));
}

#[test]
fn a_call_that_fails_says_how() {
    let failed = |code: &'static str, text: &'static str| answered(move |http2| http2.refuse(code, text));
    is(&failed("12", "no%20such"), Outcome::Unimplemented, "grpc.health.v1: no such");
    is(&failed("5", "unknown"), Outcome::ServiceUnknown, "unknown");
    let denied = failed("7", "no");
    is(&denied, Outcome::CallFailed, "PERMISSION_DENIED: no");
    assert_eq!(denied.finding.grpc_status, Some(7));
    is(&failed("99", ""), Outcome::CallFailed, "status 99");
    is(&failed("x", ""), Outcome::ProtocolError, "without a gRPC status");
}

#[test]
fn what_is_no_answer_is_none() {
    let head = [(":status", "200"), ("content-type", "application/grpc")];
    is(
        &answered(move |http2| {
            let stream = http2.asked().stream;
            http2.headers(stream, true, &[(":status", "404"), ("content-type", "text/html")]);
        }),
        Outcome::ProtocolError,
        "HTTP status 404",
    );
    is(
        &answered(move |http2| {
            let stream = http2.asked().stream;
            http2.headers(stream, false, &[(":status", "200"), ("content-type", "text/html")]);
        }),
        Outcome::ProtocolError,
        "content-type",
    );
    is(
        &answered(move |http2| {
            let stream = http2.asked().stream;
            http2.headers(stream, false, &head);
            http2.data(stream, true, &message(&[8, 1]));
        }),
        Outcome::ProtocolError,
        "without a gRPC status",
    );
    is(
        &answered(move |http2| {
            let stream = http2.asked().stream;
            http2.headers(stream, false, &head);
            http2.headers(stream, true, &[("grpc-status", "0")]);
        }),
        Outcome::ProtocolError,
        "without an answer",
    );
    is(
        &answered(move |http2| {
            let stream = http2.asked().stream;
            http2.answer_health(stream, 1);
            http2.data(stream, false, &message(&[8, 1]));
        }),
        Outcome::ProtocolError,
        "two answers",
    );
    is(
        &answered(move |http2| {
            let stream = http2.asked().stream;
            http2.answer_health(stream, 1);
            http2.data(stream, false, b"\0\0");
            http2.headers(stream, true, &[("grpc-status", "0")]);
        }),
        Outcome::ProtocolError,
        "cut short",
    );
}

#[test]
fn a_call_that_is_cut_off_says_by_what() {
    is(
        &answered(|http2| {
            let stream = http2.asked().stream;
            reset(http2, stream, 7);
        }),
        Outcome::Closed,
        "reset the call (HTTP/2 error 0x7)",
    );
    is(
        &answered(|http2| {
            http2.asked();
            http2.raw(frame::GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11]);
        }),
        Outcome::Closed,
        "GOAWAY (HTTP/2 error 0xb)",
    );
    let server = Server::one(|socket| drop(Http2::new(socket).asked()));
    is(&probe("grpc", server.address, json!({})), Outcome::Closed, "before it answered");
}

#[test]
fn an_answer_may_come_in_any_pieces_and_after_interim_heads() {
    let observation = answered(|http2| {
        let stream = http2.asked().stream;
        http2.headers(stream, false, &[(":status", "103")]);
        http2.headers(stream, false, &[(":status", "200"), ("content-type", "application/grpc+proto")]);
        for byte in message(&[8, 1]) {
            http2.data(stream, false, &[byte]);
        }
        http2.headers(stream, true, &[("grpc-status", "0")]);
    });
    is(&observation, Outcome::Serving, "SERVING");
}

#[test]
fn the_windows_that_the_server_grants_are_kept() {
    let server = Server::one(|mut socket| {
        use std::io::{Read, Write};
        // SETTINGS_INITIAL_WINDOW_SIZE 0: not a byte of the question may come yet.
        let mut out = Vec::new();
        frame::write_settings(&mut out, &[(4, 0)]);
        socket.write_all(&out).unwrap();
        let mut seen = Vec::new();
        let data = |seen: &[u8]| {
            let mut at = tidegate_datapath::http2::PREFACE.len();
            let mut lengths = Vec::new();
            while let Some(header) = seen.get(at..).and_then(frame::FrameHeader::read) {
                lengths.extend((header.kind == frame::DATA).then_some((header.length, header.has(frame::END_STREAM))));
                at += frame::HEADER_LENGTH + header.length;
            }
            lengths
        };
        let has_headers = |seen: &[u8]| seen.windows(8).any(|bytes| bytes == b"trailers");
        let mut buffer = [0; 4096];
        while !has_headers(&seen) {
            let length = socket.read(&mut buffer).unwrap();
            assert!(length > 0);
            seen.extend_from_slice(&buffer[..length]);
        }
        assert_eq!(data(&seen), []);
        let mut out = Vec::new();
        frame::write_window_update(&mut out, 1, 3);
        socket.write_all(&out).unwrap();
        while data(&seen).is_empty() {
            let length = socket.read(&mut buffer).unwrap();
            assert!(length > 0);
            seen.extend_from_slice(&buffer[..length]);
        }
        assert_eq!(data(&seen), [(3, false)]);
        let mut out = Vec::new();
        frame::write_window_update(&mut out, 1, 100);
        frame::write_rst_stream(&mut out, 1, tidegate_datapath::http2::ErrorCode::REFUSED_STREAM);
        socket.write_all(&out).unwrap();
        until_closed(socket);
    });
    is(&probe("grpc", server.address, json!({})), Outcome::Closed, "0x7");
}
