use crate::server::{Http2, PATIENCE, Script, Server, message, target, until_closed};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;
use tidegate_datapath::http2::frame;
use tidegate_datapath::probe::prober::{Event, Prober, Thresholds};
use tidegate_datapath::probe::{Outcome, Plan, compile};

const ONCE: Thresholds = Thresholds { healthy: 1, unhealthy: 1 };

struct Ears {
    prober: Prober,
    wakes: Receiver<()>,
    heard: Vec<Event>,
}

impl Ears {
    fn new() -> Ears {
        let (sender, wakes) = channel();
        let prober = Prober::start(Box::new(move || {
            let _ = sender.send(());
        }))
        .unwrap();
        Ears { prober, wakes, heard: Vec::new() }
    }

    /// The next event, whatever it is.
    fn next(&mut self) -> Event {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if !self.heard.is_empty() {
                return self.heard.remove(0);
            }
            self.wakes.recv_timeout(deadline.saturating_duration_since(Instant::now())).expect("an event");
            self.heard = self.prober.take();
        }
    }

    #[track_caller]
    fn hears(&mut self, id: u64, outcome: Outcome, streak: u32) -> Event {
        let event = self.next();
        assert_eq!((event.id, event.observation.finding.outcome, event.streak), (id, outcome, streak), "{event:?}");
        event
    }
}

/// Asks again after five milliseconds.
fn plan(address: impl std::fmt::Display, more: Value) -> Plan {
    let mut target = target("grpc", address, json!({"interval_ms": 5}));
    target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    compile(json!({"targets": [target]}).to_string().as_bytes()).unwrap().remove(0)
}

/// Answers so many Checks on one connection, then closes it.
fn answers(statuses: &'static [u8]) -> Script {
    Box::new(move |socket| {
        let mut http2 = Http2::new(socket);
        for &status in statuses {
            http2.check(status);
        }
    })
}

fn stays(status: u8) -> Script {
    Box::new(move |socket| {
        let mut http2 = Http2::new(socket);
        http2.check(status);
        http2.until_closed();
    })
}

#[test]
fn a_listener_that_panics_costs_no_server_its_probes() {
    let server = Server::new(vec![answers(&[1]), answers(&[2]), stays(1)]);
    let (sender, wakes) = channel();
    let panics = AtomicBool::new(true);
    let prober = Prober::start(Box::new(move || {
        if panics.swap(false, Relaxed) {
            panic!("as the test wants it");
        }
        let _ = sender.send(());
    }))
    .unwrap();
    let mut ears = Ears { prober, wakes, heard: Vec::new() };
    ears.prober.set(7, plan(server.address, json!({})), ONCE).unwrap();
    for outcome in [Outcome::Serving, Outcome::NotServing, Outcome::Serving] {
        ears.hears(7, outcome, 1);
    }
}

#[test]
fn one_connection_serves_many_checks_and_only_news_is_told() {
    // Nobody accepts a second connection before the seventh Check.
    let server = Server::new(vec![answers(&[1, 1, 1, 2, 2, 1]), stays(3)]);
    let mut ears = Ears::new();
    ears.prober.set(7, plan(server.address, json!({"answer_timeout_ms": 30_000})), ONCE).unwrap();
    for outcome in [Outcome::Serving, Outcome::NotServing, Outcome::Serving, Outcome::ServiceUnknown] {
        ears.hears(7, outcome, 1);
    }
    drop(ears);
}

#[test]
fn an_idle_connection_that_ends_is_no_failure() {
    let server = Server::new(vec![answers(&[1]), answers(&[1]), answers(&[1]), stays(2)]);
    let mut ears = Ears::new();
    ears.prober.set(1, plan(server.address, json!({})), ONCE).unwrap();
    ears.hears(1, Outcome::Serving, 1);
    ears.hears(1, Outcome::NotServing, 1);
    drop(ears);
}

#[test]
fn thresholds_are_told_when_they_are_reached() {
    let server = Server::new(vec![answers(&[1, 1, 1, 2, 3, 2, 1]), stays(1)]);
    let mut ears = Ears::new();
    ears.prober.set(1, plan(server.address, json!({})), Thresholds { healthy: 2, unhealthy: 4 }).unwrap();
    ears.hears(1, Outcome::Serving, 1);
    ears.hears(1, Outcome::Serving, 2);
    ears.hears(1, Outcome::NotServing, 1);
    ears.hears(1, Outcome::ServiceUnknown, 2);
    ears.hears(1, Outcome::NotServing, 3);
    ears.hears(1, Outcome::Serving, 1);
    ears.hears(1, Outcome::Serving, 2);
    drop(ears);
}

#[test]
fn watched_servers_tell_by_themselves() {
    let (sender, receiver) = channel::<u8>();
    let server = Server::one(move |socket| {
        let mut http2 = Http2::new(socket);
        let stream = http2.asked().stream;
        http2.answer_health(stream, 1);
        while let Ok(status) = receiver.recv() {
            http2.data(stream, false, &message(&[8, status]));
        }
        http2.until_closed();
    });
    let mut ears = Ears::new();
    let hourly = json!({"watch": true, "interval_ms": 3_600_000});
    ears.prober.set(1, plan(server.address, hourly), ONCE).unwrap();
    ears.hears(1, Outcome::Serving, 1);
    for (status, outcome) in [(2, Outcome::NotServing), (1, Outcome::Serving), (3, Outcome::ServiceUnknown)] {
        sender.send(status).unwrap();
        ears.hears(1, outcome, 1);
    }
    drop(sender);
    drop(ears);
}

#[test]
fn a_watch_that_breaks_is_told_and_begun_again() {
    let watch = |status: u8, stay: bool| -> Script {
        Box::new(move |socket| {
            let mut http2 = Http2::new(socket);
            let stream = http2.asked().stream;
            http2.answer_health(stream, status);
            if stay {
                http2.until_closed();
            }
        })
    };
    let server = Server::new(vec![watch(1, false), watch(1, true)]);
    let mut ears = Ears::new();
    ears.prober.set(1, plan(server.address, json!({"watch": true})), ONCE).unwrap();
    ears.hears(1, Outcome::Serving, 1);
    ears.hears(1, Outcome::Closed, 1);
    ears.hears(1, Outcome::Serving, 1);
    drop(ears);
}

#[test]
fn a_server_without_watch_is_checked() {
    let refuse: Script = Box::new(|socket| {
        let mut http2 = Http2::new(socket);
        http2.refuse("12", "no Watch");
        http2.until_closed();
    });
    let server = Server::new(vec![refuse, answers(&[1, 1]), stays(2)]);
    let mut ears = Ears::new();
    ears.prober.set(1, plan(server.address, json!({"watch": true})), ONCE).unwrap();
    ears.hears(1, Outcome::Serving, 1);
    ears.hears(1, Outcome::NotServing, 1);
    drop(ears);
}

#[test]
fn a_server_that_does_not_answer_costs_nobody_else_anything() {
    let silent = Server::one(until_closed);
    let server = Server::new(vec![answers(&[1, 1, 1]), stays(2)]);
    let mut ears = Ears::new();
    ears.prober.set(1, plan(silent.address, json!({"connect_timeout_ms": 3_600_000})), ONCE).unwrap();
    ears.prober.set(2, plan(server.address, json!({})), ONCE).unwrap();
    ears.hears(2, Outcome::Serving, 1);
    ears.hears(2, Outcome::NotServing, 1);
    drop(ears);
    let silent = Server::one(until_closed);
    let mut ears = Ears::new();
    let hasty = json!({"connect_timeout_ms": 30, "interval_ms": 3_600_000});
    ears.prober.set(3, plan(silent.address, hasty), ONCE).unwrap();
    ears.hears(3, Outcome::ConnectTimeout, 1);
    drop(ears);
}

#[test]
fn a_server_that_is_removed_is_left_alone_and_one_that_is_set_again_asked_anew() {
    // The script ends only when the prober has hung up.
    let server = Server::new(vec![stays(1), stays(2)]);
    let mut ears = Ears::new();
    let hourly = || json!({"interval_ms": 3_600_000});
    ears.prober.set(1, plan(server.address, hourly()), ONCE).unwrap();
    ears.hears(1, Outcome::Serving, 1);
    ears.prober.remove(1);
    ears.prober.set(2, plan(server.address, hourly()), ONCE).unwrap();
    ears.hears(2, Outcome::NotServing, 1);
    ears.prober.remove(2);
    drop(server);
    assert!(ears.prober.take().is_empty());
    assert!(ears.prober.set(3, plan("localhost:1", json!({})), ONCE).is_err());
}

#[test]
fn hundreds_are_asked_by_one_thread() {
    let servers: Vec<Server> = (0..200).map(|at| Server::new(vec![stays(1 + (at % 2) as u8)])).collect();
    let mut ears = Ears::new();
    let hourly = json!({"interval_ms": 3_600_000});
    for (at, server) in servers.iter().enumerate() {
        ears.prober.set(at as u64, plan(server.address, hourly.clone()), ONCE).unwrap();
    }
    let mut told: Vec<(u64, bool)> = Vec::new();
    while told.len() < servers.len() {
        let event = ears.next();
        told.push((event.id, event.observation.healthy));
    }
    told.sort_unstable();
    assert_eq!(told, (0..200).map(|at| (at, at % 2 == 0)).collect::<Vec<_>>());
    drop(ears);
}

/// Answers Watch, then so many Checks beside it with `status`, and says so.
fn watched_and_checked(checks: usize, status: u8, done: Sender<()>) -> Script {
    Box::new(move |socket| {
        let mut http2 = Http2::new(socket);
        let watch = http2.asked();
        assert_eq!(watch.field(":path"), Some("/grpc.health.v1.Health/Watch"));
        http2.answer_health(watch.stream, 1);
        for _ in 0..checks {
            http2.check(status);
        }
        done.send(()).unwrap();
        http2.until_closed();
    })
}

#[test]
fn a_watched_server_that_hangs_is_noticed() {
    // The first Check beside is answered, the second is not; nor is whoever connects anew.
    let (done, _checked) = channel();
    let server = Server::new(vec![watched_and_checked(1, 1, done), Box::new(until_closed), Box::new(until_closed)]);
    let mut ears = Ears::new();
    let hasty = json!({"watch": true, "answer_timeout_ms": 40, "connect_timeout_ms": 40, "interval_ms": 20});
    ears.prober.set(1, plan(server.address, hasty), Thresholds { healthy: 1, unhealthy: 3 }).unwrap();
    ears.hears(1, Outcome::Serving, 1);
    ears.hears(1, Outcome::AnswerTimeout, 1);
    ears.hears(1, Outcome::ConnectTimeout, 2);
    ears.hears(1, Outcome::ConnectTimeout, 3);
    drop(ears);
}

#[test]
fn what_a_check_beside_says_does_not_count() {
    let (done, checked) = channel();
    let server = Server::new(vec![watched_and_checked(3, 2, done), stays(1)]);
    let mut ears = Ears::new();
    ears.prober.set(1, plan(server.address, json!({"watch": true, "interval_ms": 4})), ONCE).unwrap();
    let event = ears.hears(1, Outcome::Serving, 1);
    assert!(event.watched);
    checked.recv_timeout(PATIENCE).unwrap();
    ears.prober.remove(1);
    ears.prober.set(2, plan(server.address, json!({"interval_ms": 3_600_000})), ONCE).unwrap();
    assert!(!ears.hears(2, Outcome::Serving, 1).watched);
    drop(ears);
}

#[test]
fn who_passes_rests_while_nobody_calls_and_who_does_not_is_asked_on() {
    let server = Server::new(vec![answers(&[1]), stays(2)]);
    let ill = Server::new(vec![answers(&[2, 2, 2, 2, 1]), stays(1)]);
    let mut ears = Ears::new();
    let quiet = plan(server.address, json!({"quiet_interval_ms": 3_600_000}));
    ears.prober.set_quiet(&quiet, true);
    ears.prober.set(1, quiet.clone(), ONCE).unwrap();
    ears.hears(1, Outcome::Serving, 1);
    let other = quiet.at("ill", tidegate_datapath::probe::Host::Address(ill.address));
    ears.prober.set(2, other, Thresholds { healthy: 1, unhealthy: 4 }).unwrap();
    ears.hears(2, Outcome::NotServing, 1);
    ears.hears(2, Outcome::NotServing, 4);
    ears.hears(2, Outcome::Serving, 1);
    ears.prober.set_quiet(&quiet, false);
    ears.hears(1, Outcome::NotServing, 1);
    drop(ears);
}

#[test]
fn a_server_without_health_passes_and_is_asked_on() {
    let refuses: fn() -> Script = || {
        Box::new(|socket| {
            let mut http2 = Http2::new(socket);
            http2.refuse("12", "");
            http2.refuse("12", "");
        })
    };
    let server = Server::new(vec![refuses(), stays(2)]);
    let mut ears = Ears::new();
    ears.prober.set(1, plan(server.address, json!({})), Thresholds { healthy: 2, unhealthy: 1 }).unwrap();
    ears.hears(1, Outcome::Unimplemented, 1);
    ears.hears(1, Outcome::Unimplemented, 2);
    ears.hears(1, Outcome::NotServing, 1);
    drop(ears);
}

#[test]
fn who_names_no_authority_is_called_by_its_address() {
    let (sender, receiver) = channel();
    let server = Server::one(move |socket| {
        let mut http2 = Http2::new(socket);
        let asked = http2.asked();
        sender.send(asked.field(":authority").map(str::to_owned)).unwrap();
        http2.until_closed();
    });
    let ears = Ears::new();
    let template = plan("127.0.0.1:1", json!({"authority": ""}));
    let host = tidegate_datapath::probe::Host::Address(server.address);
    ears.prober.set(1, template.at("it", host), ONCE).unwrap();
    assert_eq!(receiver.recv().unwrap(), Some(server.address.to_string()));
    drop(ears);
}

#[test]
fn a_watched_server_that_is_leaving_is_watched_on_another_connection() {
    let leaving: Script = Box::new(|socket| {
        let mut http2 = Http2::new(socket);
        let stream = http2.asked().stream;
        http2.answer_health(stream, 1);
        let (last, code) = (stream.to_be_bytes(), 0u32.to_be_bytes());
        http2.raw(frame::GOAWAY, 0, 0, &[last, code].concat());
        http2.until_closed();
    });
    let staying: Script = Box::new(|socket| {
        let mut http2 = Http2::new(socket);
        let stream = http2.asked().stream;
        http2.answer_health(stream, 2);
        http2.until_closed();
    });
    let server = Server::new(vec![leaving, staying]);
    let mut ears = Ears::new();
    ears.prober.set(1, plan(server.address, json!({"watch": true})), ONCE).unwrap();
    ears.hears(1, Outcome::Serving, 1);
    ears.hears(1, Outcome::NotServing, 1);
    drop(ears);
}
