//! Both ends of a connection, talking to each other: they never break a rule, and everything arrives.

use crate::end::{CONFIG, End, Seen};
use proptest::prelude::*;
use std::collections::HashMap;
use tidegate_datapath::http2::{Ended, Role};

#[derive(Debug, Clone)]
enum Step {
    Open {
        fields: u8,
    },
    Send {
        stream: usize,
        length: usize,
    },
    Answer {
        stream: usize,
        length: usize,
    },
    Finish {
        stream: usize,
    },
    /// Bytes that arrive on either side.
    Carry {
        towards_server: bool,
        length: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<u8>().prop_map(|fields| Step::Open { fields }),
        (0usize..8, 0usize..40_000).prop_map(|(stream, length)| Step::Send { stream, length }),
        (0usize..8, 0usize..40_000).prop_map(|(stream, length)| Step::Answer { stream, length }),
        (0usize..8).prop_map(|stream| Step::Finish { stream }),
        (any::<bool>(), 1usize..60_000).prop_map(|(towards_server, length)| Step::Carry { towards_server, length }),
    ]
}

/// One end as a worker would drive it: the stream windows are its own affair.
struct Talker {
    end: End,
    /// Room that each stream leaves us for sending; removed with the stream.
    windows: HashMap<u32, i64>,
    sent: HashMap<u32, usize>,
    received: HashMap<u32, usize>,
    ended: Vec<u32>,
    /// On its way to us.
    wire: Vec<u8>,
}

impl Talker {
    fn new(role: Role) -> Talker {
        let (windows, sent, received) = Default::default();
        Talker { end: End::new(role, CONFIG), windows, sent, received, ended: Vec::new(), wire: Vec::new() }
    }

    fn open(&mut self, stream: u32) {
        self.windows.insert(stream, i64::from(self.end.connection.initial_send_window()));
    }

    /// As much of it as the windows leave room for.
    fn send(&mut self, stream: u32, length: usize, end: bool) {
        let Some(window) = self.windows.get_mut(&stream) else { return };
        let room = (*window).min(i64::from(self.end.connection.send_window)).max(0) as usize;
        let length = length.min(room).min(16_384);
        self.end.connection.data(stream, end, &vec![0; length]);
        *window -= length as i64;
        *self.sent.entry(stream).or_default() += length;
    }

    fn receive(&mut self, length: usize) {
        let mut at = 0;
        let bytes: Vec<u8> = self.wire[..length.min(self.wire.len())].to_vec();
        let mut list = Default::default();
        loop {
            let now_ms = self.end.now_ms;
            let next = self.end.connection.next(&self.end.dictionary, &bytes, &mut at, &mut list, now_ms);
            let Some(event) = next.expect("an honest peer") else { break };
            use tidegate_datapath::http2::Event;
            match event {
                Event::Opened { stream, .. } => {
                    assert!(!list.is_malformed() && !list.is_oversize());
                    self.end.connection.insert_stream(stream, stream);
                    self.open(stream);
                }
                Event::Data { stream, slot, bytes, end_stream, overhead } => {
                    assert_eq!((slot, overhead), (stream, 0));
                    *self.received.entry(stream).or_default() += bytes.len();
                    if !bytes.is_empty() && !end_stream {
                        self.end.connection.window_update(stream, bytes.len() as u32);
                    }
                    if end_stream {
                        self.ended.push(stream);
                    }
                }
                Event::StreamWindow { slot, increment } => {
                    self.windows.entry(slot).and_modify(|window| *window += i64::from(increment));
                }
                Event::Settings { window_change } => {
                    self.windows.values_mut().for_each(|window| *window += window_change);
                }
                Event::ConnectionWindow | Event::Headers { .. } => {}
                other => panic!("{other:?} from an honest peer"),
            }
        }
        self.wire.drain(..at);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn everything_arrives(steps in proptest::collection::vec(step(), 1..200)) {
        let (mut client, mut server) = (Talker::new(Role::Client), Talker::new(Role::Server));
        let mut streams = Vec::new();
        for step in steps {
            match step {
                Step::Open { fields } => {
                    let next = streams.len() as u32 * 2 + 1;
                    let Some(stream) = (streams.len() < 5).then(|| client.end.connection.open_stream(next)).flatten() else { continue };
                    prop_assert_eq!(stream, next);
                    client.open(stream);
                    let value = "v".repeat(usize::from(fields));
                    client.end.send(stream, false, &[(":method", "POST"), (":path", "/a"), ("x-a", &value)]);
                    streams.push(stream);
                }
                Step::Send { stream, length } => {
                    if let Some(&stream) = streams.get(stream) && !server.ended.contains(&stream) { client.send(stream, length, false) }
                }
                Step::Answer { stream, length } => {
                    if let Some(&stream) = streams.get(stream) { server.send(stream, length, false) }
                }
                Step::Finish { stream } => {
                    if let Some(&stream) = streams.get(stream) {
                        client.send(stream, 0, true);
                        client.windows.remove(&stream);
                    }
                }
                Step::Carry { towards_server, length } => {
                    let (from, to) = if towards_server { (&mut client, &mut server) } else { (&mut server, &mut client) };
                    to.wire.append(&mut from.end.connection.out);
                    to.receive(length);
                }
            }
        }
        for _ in 0..4 {
            server.wire.append(&mut client.end.connection.out);
            server.receive(usize::MAX);
            client.wire.append(&mut server.end.connection.out);
            client.receive(usize::MAX);
        }
        let moved = |counts: &HashMap<u32, usize>| -> HashMap<u32, usize> {
            counts.iter().filter(|(_, count)| **count > 0).map(|(stream, count)| (*stream, *count)).collect()
        };
        prop_assert_eq!(moved(&client.sent), moved(&server.received));
        prop_assert_eq!(moved(&server.sent), moved(&client.received));
        // What is still out of the windows is what each end holds back until half of it is used.
        for (from, to) in [(&client, &server), (&server, &client)] {
            let in_flight: usize = from.sent.values().sum::<usize>();
            let window = from.end.connection.send_window;
            prop_assert!(window > (CONFIG.connection_window / 2) as i32 || in_flight == 0, "{} left", window);
            let _ = to;
        }
        prop_assert_eq!(server.end.connection.stream_count(), streams.len());
        for stream in streams {
            client.end.connection.remove_stream(stream, Ended::Complete);
        }
        prop_assert_eq!(client.end.connection.stream_count(), 0);
    }
}

#[test]
fn trailers_arrive_behind_the_data() {
    let (mut client, mut server) = (End::client(), End::server());
    let stream = client.connection.open_stream(0).expect("room");
    client.send(stream, true, &[(":method", "POST"), (":path", "/")]);
    assert!(matches!(server.accept(&client.connection.out)[..], [Seen::Opened { end: true, .. }]));
    server.connection.insert_stream(stream, 0);
    server.send(stream, false, &[(":status", "200")]);
    server.connection.data(stream, false, b"answer");
    server.send(stream, true, &[("grpc-status", "0")]);
    let seen = client.accept(&server.connection.out);
    assert!(
        matches!(&seen[..], [Seen::Headers { end: false, .. }, Seen::Data { end: false, .. }, Seen::Headers { end: true, fields, .. }]
            if fields == &[("grpc-status".to_owned(), "0".to_owned())])
    );
}
