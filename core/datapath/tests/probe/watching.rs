use crate::server::{Http2, Server, observe, says, target};
use serde_json::json;
use tidegate_datapath::probe::{Observation, Outcome};

fn outcomes(told: &[Observation]) -> Vec<Outcome> {
    told.iter().map(|observation| observation.finding.outcome).collect()
}

#[test]
fn every_change_is_told_and_nothing_twice() {
    let server = Server::one(|socket| {
        let mut http2 = Http2::new(socket);
        let asked = http2.asked();
        assert_eq!(asked.field(":path"), Some("/grpc.health.v1.Health/Watch"));
        assert_eq!(asked.field("grpc-timeout"), None);
        http2.answer_health(asked.stream, 1);
        for status in [1, 2, 2, 3, 1] {
            http2.data(asked.stream, false, &crate::server::message(&[8, status]));
        }
        http2.until_closed();
    });
    let told = observe(vec![target("grpc", server.address, json!({"watch": true}))], 4);
    assert_eq!(outcomes(&told), [Outcome::Serving, Outcome::NotServing, Outcome::ServiceUnknown, Outcome::Serving]);
    assert!(told[0].answer_ms.is_some() && told[1].answer_ms.is_none());
}

#[test]
fn a_watch_that_ends_is_begun_again() {
    let watch = |status: u8, end: bool| {
        move |socket| {
            let mut http2 = Http2::new(socket);
            let stream = http2.asked().stream;
            http2.answer_health(stream, status);
            if end {
                http2.headers(stream, true, &[("grpc-status", "0")]);
            }
            http2.until_closed();
        }
    };
    let server = Server::new(vec![Box::new(watch(1, true)), Box::new(watch(2, false))]);
    let told = observe(vec![target("grpc", server.address, json!({"watch": true}))], 3);
    assert_eq!(outcomes(&told), [Outcome::Serving, Outcome::Closed, Outcome::NotServing]);
}

#[test]
fn a_watched_server_that_goes_away_is_told() {
    let server = Server::one(|socket| {
        let mut http2 = Http2::new(socket);
        let stream = http2.asked().stream;
        http2.answer_health(stream, 1);
    });
    let told = observe(vec![target("grpc", server.address, json!({"watch": true}))], 2);
    assert_eq!(outcomes(&told), [Outcome::Serving, Outcome::Closed]);
    assert_eq!(told[1].finding.text, "the server closed the connection");
}

#[test]
fn a_server_without_watch_is_asked_again_and_again() {
    let check = |status: u8| -> crate::server::Script {
        Box::new(move |socket| {
            let mut http2 = Http2::new(socket);
            http2.check(status);
            http2.until_closed();
        })
    };
    let refuse: crate::server::Script = Box::new(|socket| {
        let mut http2 = Http2::new(socket);
        http2.refuse("12", "no Watch");
        http2.until_closed();
    });
    let server = Server::new(vec![refuse, check(1), check(1), check(2)]);
    let told = observe(vec![target("grpc", server.address, json!({"watch": true, "interval_ms": 5}))], 2);
    assert_eq!(outcomes(&told), [Outcome::Serving, Outcome::NotServing]);
}

#[test]
fn http_is_watched_by_asking_again() {
    let server = Server::new(vec![
        Box::new(says(b"HTTP/1.1 200 OK\r\n\r\n")),
        Box::new(says(b"HTTP/1.1 200 OK\r\n\r\n")),
        Box::new(says(b"HTTP/1.1 500 No\r\n\r\n")),
    ]);
    let told = observe(vec![target("http", server.address, json!({"watch": true, "interval_ms": 5}))], 2);
    assert_eq!(outcomes(&told), [Outcome::Serving, Outcome::HttpStatus]);
}
