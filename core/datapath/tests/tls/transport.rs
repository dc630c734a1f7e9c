use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};

use proptest::prelude::*;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, version};
use serde_json::json;
use tidegate_datapath::tls::{ClientSettings, Socket, Transport};

use crate::pipe::{PipeEnd, pipe};
use crate::{Authority, ClientOptions, listener, server_config};

type Side = Transport<PipeEnd>;

/// Configurations that the tests share: making certificates takes longer than using them.
fn configurations() -> &'static (Arc<ServerConfig>, [Arc<ClientConfig>; 2]) {
    static CONFIGURATIONS: OnceLock<(Arc<ServerConfig>, [Arc<ClientConfig>; 2])> = OnceLock::new();
    CONFIGURATIONS.get_or_init(|| {
        let authority = Authority::new("ca");
        let server = server_config(&listener(&[&authority.issue_for(&["a.example"])], json!({})));
        let client = |versions: &[&'static rustls::SupportedProtocolVersion]| {
            ClientOptions { versions, ..ClientOptions::new(&authority) }.config()
        };
        (server, [client(&[&version::TLS12]), client(&[&version::TLS13])])
    })
}

fn sides(client_end: PipeEnd, server_end: PipeEnd, tls13: bool) -> (Side, Side) {
    let (server, clients) = configurations();
    let server_name = ServerName::try_from("a.example").unwrap();
    let settings = ClientSettings { config: clients[usize::from(tls13)].clone(), server_name };
    let client = Transport::connect_tls(client_end, &settings).unwrap();
    (client, Transport::accept_tls(server_end, server.clone()).unwrap())
}

fn blocked<T>(outcome: &io::Result<T>) -> bool {
    matches!(outcome, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

fn handshake(client: &mut Side, server: &mut Side) {
    client.flush().unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        assert!(blocked(&server.read(&mut [0; 64])));
        assert!(blocked(&client.read(&mut [0; 64])));
    }
    assert!(blocked(&client.read(&mut [0; 64])));
}

/// One side of an exchange: sends `outgoing`, ends its half, and reads until the other has ended its own.
struct Peer<'a> {
    side: Side,
    outgoing: &'a [u8],
    received: Vec<u8>,
    has_closed: bool,
    ended: bool,
}

impl<'a> Peer<'a> {
    fn new(side: Side, outgoing: &'a [u8]) -> Peer<'a> {
        Peer { side, outgoing, received: Vec::new(), has_closed: false, ended: false }
    }

    /// Does what an edge-triggered event loop does with an event: writes and reads until both would block, and once
    /// more when that ended the handshake.
    fn turn(&mut self, buf: &mut [u8]) {
        let was_handshaking = self.side.is_handshaking();
        self.write_and_read(buf);
        if was_handshaking && !self.side.is_handshaking() {
            self.write_and_read(buf);
        }
    }

    fn write_and_read(&mut self, buf: &mut [u8]) {
        while !self.outgoing.is_empty() {
            match self.side.write(self.outgoing) {
                Ok(count) => self.outgoing = &self.outgoing[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        if self.outgoing.is_empty() && !self.has_closed {
            self.has_closed = true;
            self.side.shutdown_write().unwrap();
        }
        let flushed = self.side.flush();
        assert!(flushed.is_ok() || blocked(&flushed), "{flushed:?}");
        while !self.ended {
            match self.side.read(buf) {
                Ok(0) => self.ended = true,
                Ok(count) => self.received.extend_from_slice(&buf[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn is_finished(&self) -> bool {
        self.ended && self.has_closed && !self.side.wants_write()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn bytes_arrive_whole_and_in_order(
        lengths in (0usize..150_000, 0usize..150_000),
        sizes in prop::collection::vec(prop_oneof![0usize..8, 100usize..3000, 10_000usize..70_000], 1..6),
        capacity in prop_oneof![1usize..64, 4096usize..100_000],
        buffer in prop_oneof![1usize..64, 1000usize..70_000],
        tls13 in any::<bool>(),
    ) {
        // A pipe that never moves anything is no connection.
        let sizes = [sizes, vec![4096]].concat();
        let capacity = if lengths.0 + lengths.1 > 20_000 { capacity.max(2048) } else { capacity };
        let content = |length: usize, seed: usize| -> Vec<u8> { (0..length).map(|at| (at * 31 / 7 + seed) as u8).collect() };
        let (request, response) = (content(lengths.0, 1), content(lengths.1, 2));
        let (client_end, server_end) = pipe(&sizes, capacity);
        let (client, server) = sides(client_end, server_end, tls13);
        let (mut client, mut server) = (Peer::new(client, &request), Peer::new(server, &response));
        let mut buf = vec![0; buffer];
        client.turn(&mut buf);
        server.turn(&mut buf);
        let mut turns = 0;
        while !(client.is_finished() && server.is_finished()) {
            let mut had_event = false;
            for peer in [&mut client, &mut server] {
                if peer.side.stream_mut().take_event() {
                    had_event = true;
                    peer.turn(&mut buf);
                }
            }
            prop_assert!(had_event, "nobody would ever be woken again");
            turns += 1;
            prop_assert!(turns < 1_000_000, "no end");
        }
        prop_assert!(server.received == request);
        prop_assert!(client.received == response);
    }
}

#[test]
fn nothing_waits_unseen_behind_would_block() {
    for tls13 in [false, true] {
        let (client_end, server_end) = pipe(&[], 1 << 20);
        let (mut client, mut server) = sides(client_end, server_end, tls13);
        handshake(&mut client, &mut server);
        for round in 0..4 {
            let content = vec![round; 60_000];
            assert_eq!(client.write(&content).unwrap(), content.len());
            let (mut received, mut buf) = (Vec::new(), [0; 1000]);
            loop {
                match server.read(&mut buf) {
                    Ok(count) => received.extend_from_slice(&buf[..count]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => panic!("{error}"),
                }
            }
            assert_eq!(received, content);
            assert_eq!(server.stream().waiting(), 0);
        }
    }
}

#[test]
fn four_records_leave_with_one_system_call() {
    let (client_end, server_end) = pipe(&[], 1 << 20);
    let (mut client, mut server) = sides(client_end, server_end, true);
    handshake(&mut client, &mut server);
    let before = client.stream().writes();
    assert_eq!(client.write(&[0; 64 << 10]).unwrap(), 64 << 10);
    assert_eq!(client.stream().writes() - before, 1);
}

#[test]
fn a_peer_that_does_not_read_costs_a_bounded_buffer() {
    let (client_end, server_end) = pipe(&[], 4096);
    let (mut client, mut server) = sides(client_end, server_end, true);
    handshake(&mut client, &mut server);
    let (content, mut accepted) = (vec![7; 1 << 20], 0);
    loop {
        match client.write(&content[accepted..]) {
            Ok(count) => accepted += count,
            Err(error) => break assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    assert!((4096..=(64 << 10) + 4096).contains(&accepted), "{accepted}");
    assert!(client.wants_write());
    assert!(blocked(&client.flush()));
    assert!(client.write(&[]).is_ok());

    // When the stream takes more, a write must not answer WouldBlock: no event would follow.
    client.stream_mut().widen(2 << 20);
    assert!(client.write(&content[accepted..]).unwrap() > 0);
    assert!(!client.wants_write());
}

#[test]
fn content_before_the_end_of_the_handshake_is_bounded_and_arrives() {
    let (client_end, server_end) = pipe(&[], 1 << 20);
    let (mut client, mut server) = sides(client_end, server_end, true);
    let accepted = client.write(&vec![9; 1 << 20]).unwrap();
    assert_eq!(accepted, 64 << 10);
    assert!(blocked(&server.read(&mut [0; 64])));
    assert!(blocked(&client.read(&mut [0; 64])));
    let mut received = 0;
    let mut buf = vec![0; 16 << 10];
    while received < accepted {
        received += server.read(&mut buf).unwrap();
    }
    assert_eq!(received, accepted);
}

#[test]
fn a_truncated_stream_is_no_end() {
    for tls13 in [false, true] {
        let (client_end, server_end) = pipe(&[], 1 << 20);
        let (mut client, mut server) = sides(client_end, server_end, tls13);
        handshake(&mut client, &mut server);
        assert_eq!(client.write(b"half").unwrap(), 4);
        client.stream_mut().cut();
        let mut buf = [0; 64];
        assert_eq!(server.read(&mut buf).unwrap(), 4);
        assert_eq!(server.read(&mut buf).unwrap_err().kind(), ErrorKind::UnexpectedEof);

        let (client_end, server_end) = pipe(&[], 1 << 20);
        let (mut client, mut server) = sides(client_end, server_end, tls13);
        client.stream_mut().cut();
        assert_eq!(server.read(&mut buf).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    }
}

#[test]
fn each_half_ends_on_its_own() {
    let (client_end, server_end) = pipe(&[], 1 << 20);
    let (mut client, mut server) = sides(client_end, server_end, true);
    handshake(&mut client, &mut server);
    client.write(b"request").unwrap();
    client.shutdown_write().unwrap();
    assert!(!client.wants_write());
    let mut buf = [0; 64];
    assert_eq!(server.read(&mut buf).unwrap(), 7);
    assert_eq!(server.read(&mut buf).unwrap(), 0);
    assert_eq!(server.read(&mut buf).unwrap(), 0);
    server.write(b"response").unwrap();
    server.shutdown_write().unwrap();
    assert_eq!(client.read(&mut buf).unwrap(), 8);
    assert_eq!(client.read(&mut buf).unwrap(), 0);
}

#[test]
fn what_follows_the_end_is_ignored() {
    for tls13 in [false, true] {
        let (client_end, server_end) = pipe(&[], 1 << 20);
        let (mut client, mut server) = sides(client_end, server_end, tls13);
        handshake(&mut client, &mut server);
        client.shutdown_write().unwrap();
        client.stream_mut().inject(&[0x55; 9000]);
        assert_eq!(server.read(&mut [0; 64]).unwrap(), 0);
    }
}

#[test]
fn content_before_a_damaged_record_is_delivered_and_the_peer_told() {
    let (client_end, server_end) = pipe(&[], 1 << 20);
    let (mut client, mut server) = sides(client_end, server_end, true);
    handshake(&mut client, &mut server);
    client.write(b"good").unwrap();
    client.write(b"bad").unwrap();
    server.stream_mut().corrupt();
    let mut buf = [0; 64];
    assert_eq!(server.read(&mut buf).unwrap(), 4);
    for _ in 0..2 {
        assert_eq!(server.read(&mut buf).unwrap_err().kind(), ErrorKind::InvalidData);
    }
    let told = client.read(&mut buf).unwrap_err();
    assert!(told.to_string().contains("fatal alert"), "{told}");
}

#[test]
fn what_is_no_tls_is_refused() {
    let (mut client_end, server_end) = pipe(&[], 1 << 20);
    let (server, _) = configurations();
    let mut side = Transport::accept_tls(server_end, server.clone()).unwrap();
    client_end.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    assert_eq!(side.read(&mut [0; 64]).unwrap_err().kind(), ErrorKind::InvalidData);
}

/// A connected socket of each kind with the other end as std knows it, blocking.
fn sockets() -> Vec<(Socket, Box<dyn ReadWrite>)> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let far = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    let (unix_near, unix_far) = UnixStream::pair().unwrap();
    unix_near.set_nonblocking(true).unwrap();
    vec![
        (Socket::Tcp(mio::net::TcpStream::from_std(near)), Box::new(far)),
        (Socket::Unix(mio::net::UnixStream::from_std(unix_near)), Box::new(unix_far)),
    ]
}

trait ReadWrite: Read + Write {}
impl<T: Read + Write> ReadWrite for T {}

#[test]
fn sockets_without_tls_look_the_same() {
    for (socket, mut far) in sockets() {
        let mut near = Transport::Plain(socket);
        let mut buf = [0; 64];
        assert!(blocked(&near.read(&mut buf)));
        assert!(!near.is_handshaking() && !near.wants_write() && !near.is_tls());
        assert_eq!((near.alpn(), near.peer_certificate()), (None, None));
        assert_eq!(near.write(b"hello").unwrap(), 5);
        near.flush().unwrap();
        far.read_exact(&mut buf[..5]).unwrap();
        assert_eq!(&buf[..5], b"hello");
        near.shutdown_write().unwrap();
        assert_eq!(far.read(&mut buf).unwrap(), 0);
        far.write_all(b"bye").unwrap();
        drop(far);
        let mut poll = mio::Poll::new().unwrap();
        let mut events = mio::Events::with_capacity(4);
        poll.registry().register(near.stream_mut(), mio::Token(0), mio::Interest::READABLE).unwrap();
        let mut received = Vec::new();
        loop {
            match near.read(&mut buf) {
                Ok(0) => break,
                Ok(count) => received.extend_from_slice(&buf[..count]),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    poll.poll(&mut events, None).unwrap();
                }
            }
        }
        assert_eq!(received, b"bye");
        poll.registry().deregister(near.stream_mut()).unwrap();
    }
}

#[test]
fn tls_runs_over_sockets() {
    let authority = Authority::new("ca");
    let server = server_config(&listener(&[&authority.issue_for(&["a.example"])], json!({})));
    for (socket, mut far) in sockets() {
        let client = ClientOptions::new(&authority).config();
        let mut connection = ClientConnection::new(client, ServerName::try_from("a.example").unwrap()).unwrap();
        let mut near = Transport::accept_tls(socket, server.clone()).unwrap();
        let mut buf = [0; 64];
        while connection.is_handshaking() || near.is_handshaking() {
            while connection.wants_write() {
                connection.write_tls(&mut far).unwrap();
            }
            assert!(blocked(&near.read(&mut buf)) || !near.is_handshaking());
            if connection.is_handshaking() && connection.wants_read() {
                connection.read_tls(&mut far).unwrap();
                connection.process_new_packets().unwrap();
            }
        }
        near.write(b"hello").unwrap();
        near.shutdown_write().unwrap();
        let mut content = Vec::new();
        while connection.read_tls(&mut far).unwrap() > 0 {
            connection.process_new_packets().unwrap();
        }
        connection.reader().read_to_end(&mut content).unwrap();
        assert_eq!(content, b"hello");
    }
}
