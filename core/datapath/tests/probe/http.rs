use crate::server::{Http2, Server, probe, says};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::sync::mpsc::channel;
use tidegate_datapath::probe::{Observation, Outcome};

fn http1(says_what: &'static [u8], more: Value) -> Observation {
    let server = Server::one(says(says_what));
    probe("http1", server.address, more)
}

#[test]
fn the_status_decides() {
    let healthy = http1(b"HTTP/1.1 204 No Content\r\n\r\n", json!({}));
    assert!(healthy.healthy);
    assert_eq!((healthy.finding.http_status, healthy.finding.text.as_str()), (Some(204), "HTTP 204"));
    let failed = http1(b"HTTP/1.1 503\r\nretry-after: 1\r\n\r\n", json!({}));
    assert_eq!((failed.finding.outcome, failed.finding.http_status), (Outcome::HttpStatus, Some(503)));
    let wanted = json!({"expected_statuses": [[401, 401], [500, 599]]});
    assert!(http1(b"HTTP/1.0 503 No\r\n\r\n", wanted.clone()).healthy);
    assert!(!http1(b"HTTP/1.1 200 OK\r\n\r\n", wanted).healthy);
    assert!(http1(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", json!({})).healthy);
}

#[test]
fn what_is_no_http_is_told() {
    for bytes in
        [&b"SSH-2.0-OpenSSH\r\n"[..], b"HTTP/2.0 200 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n"]
    {
        let observation = http1(bytes, json!({}));
        assert_eq!(observation.finding.outcome, Outcome::ProtocolError, "{observation:?}");
    }
    let endless: &'static [u8] =
        Box::leak([&b"HTTP/1.1 200 OK\r\n"[..], &[b'a'; 64 << 10]].concat().into_boxed_slice());
    assert!(http1(endless, json!({})).finding.text.contains("no end"));
}

#[test]
fn the_request_says_what_it_was_told_to() {
    let (sender, receiver) = channel();
    let server = Server::one(move |mut socket| {
        let mut seen = Vec::new();
        let mut buffer = [0; 4096];
        while !seen.ends_with(b"\r\n\r\n") {
            let length = socket.read(&mut buffer).unwrap();
            assert!(length > 0);
            seen.extend_from_slice(&buffer[..length]);
        }
        socket.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        sender.send(String::from_utf8(seen).unwrap()).unwrap();
    });
    let more = json!({"path": "/healthz?full=1", "headers": [["X-Key", "value"]]});
    assert!(probe("http", server.address, more).healthy);
    assert_eq!(
        receiver.recv().unwrap(),
        "GET /healthz?full=1 HTTP/1.1\r\nhost: app.example:1\r\nconnection: close\r\nuser-agent: test\r\nx-key: value\r\n\r\n"
    );
}

#[test]
fn http2_is_asked_the_same() {
    let (sender, receiver) = channel();
    let server = Server::one(move |socket| {
        let mut http2 = Http2::new(socket);
        let asked = http2.asked();
        http2.headers(asked.stream, false, &[(":status", "302")]);
        sender.send(asked).unwrap();
        http2.until_closed();
    });
    let observation = probe("http2", server.address, json!({"path": "/healthz"}));
    assert_eq!((observation.healthy, observation.finding.http_status), (true, Some(302)));
    let asked = receiver.recv().unwrap();
    assert_eq!((asked.field(":method"), asked.field(":path")), (Some("GET"), Some("/healthz")));
    assert_eq!((asked.field("te"), asked.field("user-agent")), (None, Some("test")));
}
