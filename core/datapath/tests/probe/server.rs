//! A server whose every byte is a test's, and a listener that keeps what it is told.

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::thread::JoinHandle;
use std::time::Duration;
use tidegate_datapath::http2::frame::{self, FrameHeader};
use tidegate_datapath::http2::hpack::{Dictionary, HeaderList, Limits};
use tidegate_datapath::http2::{Config, Connection, Ended, Event, Role};
use tidegate_datapath::probe::{Listener, Observation, compile, run};

/// How long a test waits before it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Serves connections one after the other, each by the next of `scripts`.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

pub(crate) type Script = Box<dyn FnOnce(TcpStream) + Send>;

impl Server {
    pub(crate) fn new(scripts: Vec<Script>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            for script in scripts {
                let (socket, _) = listener.accept().unwrap();
                socket.set_read_timeout(Some(PATIENCE)).unwrap();
                script(socket);
            }
        });
        Server { address, thread: Some(thread) }
    }

    pub(crate) fn one(script: impl FnOnce(TcpStream) + Send + 'static) -> Server {
        Server::new(vec![Box::new(script)])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.thread.take().map(JoinHandle::join);
        if !std::thread::panicking() {
            ended.unwrap().expect("the server's script");
        }
    }
}

/// Reads until the other end has closed.
pub(crate) fn until_closed(mut socket: TcpStream) {
    let mut rest = Vec::new();
    let _ = socket.read_to_end(&mut rest);
}

/// Says `bytes` at once, whatever comes.
pub(crate) fn says(bytes: &'static [u8]) -> impl FnOnce(TcpStream) + Send + 'static {
    move |mut socket| {
        socket.write_all(bytes).unwrap();
        until_closed(socket);
    }
}

/// An HTTP/2 server on a socket.
pub(crate) struct Http2 {
    connection: Connection,
    dictionary: Dictionary,
    socket: TcpStream,
    list: HeaderList,
    input: Vec<u8>,
}

/// A request, when all of it has come.
pub(crate) struct Asked {
    pub(crate) stream: u32,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

impl Http2 {
    pub(crate) fn new(socket: TcpStream) -> Http2 {
        let headers = Limits { bytes: 20_000, fields: 100 };
        let config = Config { max_concurrent_streams: 5, stream_window: 65_535, connection_window: 65_535, headers };
        let connection = Connection::new(Role::Server, config, 0);
        let mut server = Http2 {
            connection,
            dictionary: Dictionary::new(7),
            socket,
            list: HeaderList::default(),
            input: Vec::new(),
        };
        server.flush();
        server
    }

    pub(crate) fn asked(&mut self) -> Asked {
        let mut asked = Asked { stream: 0, fields: Vec::new(), body: Vec::new() };
        loop {
            let (mut at, mut complete) = (0, false);
            let input = std::mem::take(&mut self.input);
            while let Some(event) =
                self.connection.next(&self.dictionary, &input, &mut at, &mut self.list, 0).expect("an honest client")
            {
                match event {
                    Event::Opened { stream, end_stream } => {
                        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                        asked.stream = stream;
                        asked.fields =
                            self.list.iter(&self.dictionary).map(|(name, value)| (text(name), text(value))).collect();
                        self.connection.insert_stream(stream, 0);
                        complete |= end_stream;
                    }
                    Event::Data { bytes, end_stream, .. } => {
                        asked.body.extend_from_slice(bytes);
                        complete |= end_stream;
                    }
                    _ => {}
                }
            }
            self.input = input[at..].to_vec();
            self.flush();
            if complete {
                return asked;
            }
            let mut more = [0; 4096];
            let length = self.socket.read(&mut more).unwrap();
            assert!(length > 0, "the client hung up before it had asked");
            self.input.extend_from_slice(&more[..length]);
        }
    }

    pub(crate) fn headers(&mut self, stream: u32, end: bool, fields: &[(&str, &str)]) {
        let mut list = HeaderList::default();
        for (name, value) in fields {
            assert!(list.push(name.as_bytes(), value.as_bytes()), "{name}: {value}");
        }
        self.connection.headers(stream, end, |encoder, out| encoder.list(&list, out));
        self.flush();
    }

    pub(crate) fn data(&mut self, stream: u32, end: bool, bytes: &[u8]) {
        self.connection.data(stream, end, bytes);
        self.flush();
    }

    /// A frame of any kind.
    pub(crate) fn raw(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        FrameHeader { length: payload.len(), kind, flags, stream }.write(&mut self.connection.out);
        self.connection.out.extend_from_slice(payload);
        self.flush();
    }

    pub(crate) fn answer_health(&mut self, stream: u32, status: u8) {
        self.headers(stream, false, &[(":status", "200"), ("content-type", "application/grpc")]);
        self.data(stream, false, &message(&[8, status]));
    }

    /// Check's whole answer.
    pub(crate) fn check(&mut self, status: u8) {
        let stream = self.asked().stream;
        self.answer_health(stream, status);
        self.headers(stream, true, &[("grpc-status", "0")]);
        self.connection.remove_stream(stream, Ended::Complete);
    }

    /// The call ends with a status and no more.
    pub(crate) fn refuse(&mut self, code: &str, text: &str) {
        let stream = self.asked().stream;
        let fields =
            [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", code), ("grpc-message", text)];
        self.headers(stream, true, &fields);
    }

    pub(crate) fn until_closed(self) {
        until_closed(self.socket);
    }

    fn flush(&mut self) {
        let out = std::mem::take(&mut self.connection.out);
        // A client that has its answer may have gone.
        let _ = self.socket.write_all(&out);
    }
}

pub(crate) fn message(content: &[u8]) -> Vec<u8> {
    [&[0][..], &(content.len() as u32).to_be_bytes(), content].concat()
}

pub(crate) fn reset(server: &mut Http2, stream: u32, code: u32) {
    server.raw(frame::RST_STREAM, 0, stream, &code.to_be_bytes());
}

/// What was told; wants no more when it has been told `most` things.
pub(crate) struct Told {
    pub(crate) observations: Vec<Observation>,
    most: usize,
}

impl Listener for Told {
    fn observe(&mut self, observation: &Observation) -> ControlFlow<()> {
        self.observations.push(observation.clone());
        if self.observations.len() == self.most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn is_told_to_stop(&mut self) -> bool {
        false
    }
}

/// A target for this address, with `more` put over it.
pub(crate) fn target(kind: &str, address: impl std::fmt::Display, more: Value) -> Value {
    let mut target = json!({
        "name": "it", "kind": kind, "address": address.to_string(), "authority": "app.example:1", "user_agent": "test",
        "connect_timeout_ms": 30_000, "answer_timeout_ms": 30_000,
    });
    target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    target
}

pub(crate) fn observe(targets: Vec<Value>, most: usize) -> Vec<Observation> {
    let plans = compile(json!({"targets": targets}).to_string().as_bytes()).unwrap();
    let mut told = Told { observations: Vec::new(), most };
    run(plans, &mut told).unwrap();
    told.observations
}

/// What comes of one target.
pub(crate) fn probe(kind: &str, address: impl std::fmt::Display, more: Value) -> Observation {
    let mut told = observe(vec![target(kind, address, more)], usize::MAX);
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}
