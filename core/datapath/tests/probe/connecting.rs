use crate::server::{Server, observe, probe, says, target, until_closed};
use serde_json::json;
use std::net::TcpListener;
use tidegate_datapath::probe::Outcome;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_connection_is_all_that_tcp_wants() {
    let server = Server::one(until_closed);
    let observation = probe("tcp", server.address, json!({}));
    assert!(observation.healthy && observation.connected);
    assert_eq!(observation.address, Some(server.address.to_string()));
}

#[test]
fn nobody_there() {
    let refused = probe("tcp", format!("127.0.0.1:{}", free_port()), json!({}));
    assert_eq!((refused.finding.outcome, refused.connected), (Outcome::Refused, false));
    let absent = probe("grpc", "unix:///nowhere/app.sock", json!({}));
    assert_eq!((absent.finding.outcome, absent.connected), (Outcome::Unreachable, false));
    let unknown = probe("grpc", "name.invalid:80", json!({}));
    assert_eq!((unknown.finding.outcome, &unknown.address), (Outcome::Unreachable, &None));
    assert!(unknown.finding.text.contains("no address for name.invalid"), "{unknown:?}");
}

#[test]
fn a_name_is_tried_at_all_its_addresses() {
    let server = Server::one(until_closed);
    let observation = probe("tcp", format!("localhost:{}", server.address.port()), json!({}));
    assert!(observation.healthy, "{observation:?}");
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let server = Server::one(until_closed);
    let silent = probe("grpc", server.address, json!({"connect_timeout_ms": 50}));
    assert_eq!((silent.finding.outcome, silent.connected), (Outcome::ConnectTimeout, false));
    assert!(silent.finding.text.contains("did not begin HTTP/2 within 50ms"), "{silent:?}");
    let server = Server::one(until_closed);
    let silent = probe("http1", server.address, json!({"answer_timeout_ms": 50}));
    assert_eq!((silent.finding.outcome, silent.connected), (Outcome::AnswerTimeout, true));
    assert!(silent.finding.text.contains("no answer within 50ms"), "{silent:?}");
}

#[test]
fn other_protocols_and_ends_are_recognised() {
    for (bytes, outcome, text) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], Outcome::ProtocolError, "speaks HTTP/1.1"),
        (b"\x15\x03\x03\0\x02\x02\x46 and more", Outcome::ProtocolError, "speaks TLS"),
        (b"220 mail.example ESMTP\r\n", Outcome::ProtocolError, "does not speak HTTP/2"),
    ] {
        let server = Server::one(says(bytes));
        let observation = probe("grpc", server.address, json!({}));
        assert_eq!((observation.finding.outcome, observation.connected), (outcome, false), "{observation:?}");
        assert!(observation.finding.text.contains(text), "{observation:?}");
    }
    let server = Server::one(|socket| {
        // Closing with an unread byte resets.
        socket.peek(&mut [0]).unwrap();
    });
    let reset = probe("grpc", server.address, json!({}));
    assert_eq!(reset.finding.outcome, Outcome::Closed);
    assert!(reset.finding.text.contains("reset the connection before HTTP/2"), "{reset:?}");
}

#[test]
fn many_targets_are_asked_at_once() {
    let servers: Vec<Server> = (0..20).map(|_| Server::one(until_closed)).collect();
    let targets = servers.iter().enumerate().map(|(at, server)| {
        let kind = if at % 2 == 0 { "tcp" } else { "grpc" };
        target(kind, server.address, json!({"name": at.to_string(), "connect_timeout_ms": 1_000}))
    });
    let mut told = observe(targets.collect(), usize::MAX);
    told.sort_by_key(|observation| observation.target.parse::<usize>().unwrap());
    let healthy: Vec<bool> = told.iter().map(|observation| observation.healthy).collect();
    assert_eq!(healthy, (0..20).map(|at| at % 2 == 0).collect::<Vec<_>>());
}
