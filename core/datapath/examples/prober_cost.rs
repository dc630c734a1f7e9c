//! What it costs to probe many servers: `cargo run --release --example prober_cost [SERVERS] [SECONDS] [check|watch]`.
//!
//! One thread is all the servers, another probes them once a second each over connections that stay; printed is the CPU time
//! of the latter as the kernel counts it. Takes two descriptors for each server.

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use tidegate_datapath::http2::hpack::{Dictionary, HeaderList, Limits};
use tidegate_datapath::http2::{Config, Connection, Ended, Event, Role};
use tidegate_datapath::probe::prober::{Prober, Thresholds};
use tidegate_datapath::probe::{Host, compile};

const TICKS_PER_SECOND: f64 = 100.0;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let servers: u64 = arguments.next().map_or(10_000, |text| text.parse().expect("SERVERS"));
    let seconds: u64 = arguments.next().map_or(10, |text| text.parse().expect("SECONDS"));
    let watch = arguments.next().as_deref() == Some("watch");
    let address = serve();
    let (sender, events) = channel();
    let prober = Prober::start(Box::new(move || {
        let _ = sender.send(());
    }))
    .expect("a thread");
    let request = format!(
        r#"{{"targets": [{{"name": "", "kind": "grpc", "address": "{address}", "authority": "app", "user_agent": "prober",
            "connect_timeout_ms": 10000, "answer_timeout_ms": 1000, "interval_ms": 1000, "watch": {watch}}}]}}"#
    );
    let plan = compile(request.as_bytes()).expect("a plan").remove(0);
    for id in 0..servers {
        let plan = plan.at(&id.to_string(), Host::Address(address));
        prober.set(id, plan, Thresholds { healthy: 1, unhealthy: 1 }).expect("an address");
    }
    let (mut healthy, mut told) = (0, 0);
    while healthy < servers {
        events.recv_timeout(Duration::from_secs(60)).expect("all servers answer");
        for event in prober.take() {
            told += 1;
            healthy += u64::from(event.observation.healthy);
        }
    }
    // The rounds that follow on a storm of connections.
    std::thread::sleep(Duration::from_secs(2));
    let (before, began) = (cpu_seconds("prober"), Instant::now());
    std::thread::sleep(Duration::from_secs(seconds));
    let (used, took) = (cpu_seconds("prober") - before, began.elapsed().as_secs_f64());
    let later = prober.take().len();
    println!(
        "{servers} servers, {} a second each: {:.1} % of one CPU",
        if watch { "watched" } else { "one Check" },
        100.0 * used / took
    );
    if !watch {
        println!("{:.2} us of CPU for each Check", 1e6 * used / (servers as f64 * took));
    }
    println!("{told} events until all had answered, {later} while measuring");
}

/// Of this process's thread with that name.
fn cpu_seconds(name: &str) -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("stat")).ok());
    let stat = stats.into_iter().find(|stat| stat.contains(&format!("({name})"))).expect("the thread");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    (fields[11].parse::<f64>().expect("utime") + fields[12].parse::<f64>().expect("stime")) / TICKS_PER_SECOND
}

/// A thread that answers every Check and Watch with SERVING.
fn serve() -> SocketAddr {
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().expect("an address")).expect("a socket");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        let mut poll = Poll::new().expect("epoll");
        let listening = Token(usize::MAX);
        poll.registry().register(&mut listener, listening, Interest::READABLE).expect("registered");
        let dictionary = Dictionary::new(7);
        let mut clients: Vec<(TcpStream, Connection, Vec<u8>)> = Vec::new();
        let mut events = Events::with_capacity(1024);
        loop {
            poll.poll(&mut events, None).expect("epoll");
            for event in &events {
                if event.token() != listening {
                    let (socket, connection, input) = &mut clients[event.token().0];
                    answer(&dictionary, socket, connection, input);
                    continue;
                }
                while let Ok((mut socket, _)) = listener.accept() {
                    let both = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut socket, Token(clients.len()), both).expect("registered");
                    let headers = Limits { bytes: 20_000, fields: 100 };
                    let config = Config {
                        max_concurrent_streams: 10,
                        stream_window: 65_535,
                        connection_window: 65_535,
                        headers,
                    };
                    clients.push((socket, Connection::new(Role::Server, config, 0), Vec::new()));
                }
            }
        }
    });
    address
}

fn answer(dictionary: &Dictionary, socket: &mut TcpStream, connection: &mut Connection, input: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = socket.read(&mut buffer) {
        input.extend_from_slice(&buffer[..length]);
    }
    let (mut list, mut at, mut watched) = (HeaderList::default(), 0, false);
    while let Ok(Some(event)) = connection.next(dictionary, input, &mut at, &mut list, 0) {
        match event {
            Event::Opened { stream, .. } => {
                watched = list.iter(dictionary).any(|(name, value)| name == b":path" && value.ends_with(b"Watch"));
                connection.insert_stream(stream, 0);
            }
            Event::Data { stream, end_stream: true, .. } => {
                let fields =
                    [dictionary.field(b":status", b"200"), dictionary.field(b"content-type", b"application/grpc")];
                connection
                    .headers(stream, false, |encoder, out| fields.iter().for_each(|field| encoder.field(field, out)));
                connection.data(stream, false, &[0, 0, 0, 0, 2, 8, 1]);
                if !watched {
                    let status = dictionary.field(b"grpc-status", b"0");
                    connection.headers(stream, true, |encoder, out| encoder.field(&status, out));
                    connection.remove_stream(stream, Ended::Complete);
                }
            }
            _ => {}
        }
    }
    input.drain(..at);
    let _ = socket.write_all(&connection.out);
    connection.out.clear();
}
