//! A session on a socket.

use super::health::Found;
use super::observation::{Finding, Outcome};
use super::plan::Plan;
use super::session::Session;
use crate::http2::hpack::Dictionary;
use crate::snapshot::Address;
use crate::tls::{Alpn, Socket, Transport};
use mio::net::{TcpStream, UnixStream};
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::time::Duration;

const READ_BYTES: usize = 16 << 10;

pub(super) struct Link {
    transport: Transport,
    /// None until the connection is there and TLS agreed on.
    session: Option<Session>,
    connected: bool,
    watch: bool,
    /// A watched server has said something.
    answered: bool,
}

impl Link {
    /// Begins to connect. To be registered with a poll and driven whenever the socket is ready.
    pub(super) fn open(plan: &Plan, address: &Address, watch: bool) -> Result<Link, Finding> {
        let socket = match address {
            Address::Tcp(address) => TcpStream::connect(*address).map(Socket::Tcp),
            Address::Unix(path) => UnixStream::connect(path).map(Socket::Unix),
        };
        let socket = socket.map_err(|error| not_connected(&error))?;
        configure(&socket, plan);
        let transport = match &plan.tls {
            None => Transport::Plain(socket),
            Some(settings) => Transport::connect_tls(socket, settings)
                .map_err(|error| Finding::new(Outcome::TlsFailed, error.to_string()))?,
        };
        Ok(Link { transport, session: None, connected: false, watch, answered: false })
    }

    pub(super) fn socket(&mut self) -> &mut Socket {
        self.transport.stream_mut()
    }

    /// The question has been put; before, all that takes time is connecting.
    pub(super) fn has_asked(&self) -> bool {
        self.session.as_ref().is_some_and(Session::has_asked)
    }

    /// Puts the same question again, to be driven at once; false: that takes a new connection.
    pub(super) fn ask_again(&mut self, plan: &Plan) -> bool {
        self.session.as_mut().is_some_and(|session| session.again(plan))
    }

    /// Asks whether a watched server is alive, to be driven at once; false: there is no asking on this connection.
    pub(super) fn ask_beside(&mut self, plan: &Plan) -> bool {
        self.session.as_mut().is_some_and(|session| session.ask_beside(plan))
    }

    /// Does all that can be done without waiting.
    pub(super) fn drive(&mut self, plan: &Plan, dictionary: &Rc<Dictionary>, now_ms: u64, found: &mut Vec<Found>) {
        if let Err(finding) = self.step(plan, dictionary, now_ms, found) {
            found.push(Found::Last(finding));
        }
    }

    fn step(
        &mut self,
        plan: &Plan,
        dictionary: &Rc<Dictionary>,
        now_ms: u64,
        found: &mut Vec<Found>,
    ) -> Result<(), Finding> {
        if !self.connected && !self.is_connected()? {
            return Ok(());
        }
        self.connected = true;
        let is_over = |found: &Vec<Found>| matches!(found.last(), Some(Found::Last(_)));
        let mut buffer = [0; READ_BYTES];
        loop {
            self.begin(plan, dictionary, now_ms);
            if let Some(session) = &mut self.session {
                session.advance(plan, self.watch, found);
            }
            if is_over(found) {
                return Ok(());
            }
            // Why the server ended the connection is read, not found out by writing.
            let written = self.write();
            match self.transport.read(&mut buffer) {
                Ok(0) => return Err(self.lost(&ErrorKind::UnexpectedEof.into())),
                Ok(length) => {
                    self.begin(plan, dictionary, now_ms);
                    if let Some(session) = &mut self.session {
                        session.receive(plan, buffer.get(..length).unwrap_or_default(), now_ms, found);
                        session.advance(plan, self.watch, found);
                        self.answered |= !found.is_empty();
                    }
                    if is_over(found) {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    written.map_err(|error| self.lost(&error))?;
                    if self.session.is_some() || self.transport.is_handshaking() {
                        return Ok(());
                    }
                }
                Err(error) => return Err(self.lost(&error)),
            }
        }
    }

    /// Begins the session once TLS is agreed on.
    fn begin(&mut self, plan: &Plan, dictionary: &Rc<Dictionary>, now_ms: u64) {
        if self.session.is_some() || self.transport.is_handshaking() {
            return;
        }
        let http2 = self.transport.alpn() == Some(Alpn::Http2);
        self.session = Some(Session::new(plan, http2, self.watch, dictionary, now_ms));
    }

    fn is_connected(&self) -> Result<bool, Finding> {
        let (error, peer) = match self.transport.stream() {
            Socket::Tcp(stream) => (stream.take_error(), stream.peer_addr().map(drop)),
            Socket::Unix(stream) => (stream.take_error(), stream.peer_addr().map(drop)),
        };
        match error.and_then(|error| error.map_or(Ok(()), Err)) {
            Err(error) => Err(not_connected(&error)),
            Ok(()) => Ok(peer.is_ok()),
        }
    }

    /// Errors other than that the socket takes no more.
    fn write(&mut self) -> io::Result<()> {
        let outcome = self.write_all();
        if outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) { Ok(()) } else { outcome }
    }

    fn write_all(&mut self) -> io::Result<()> {
        if let Some(out) = self.session.as_mut().and_then(Session::out) {
            while !out.is_empty() {
                let written = self.transport.write(out)?;
                out.drain(..written);
            }
        }
        self.transport.flush()
    }

    fn is_agreeing_on_tls(&self) -> bool {
        self.transport.is_tls() && self.session.is_none()
    }

    fn lost(&self, error: &io::Error) -> Finding {
        let text = error.to_string();
        match error.kind() {
            ErrorKind::InvalidData if text.contains("InvalidContentType") => {
                Finding::new(Outcome::TlsFailed, "the server does not speak TLS")
            }
            ErrorKind::InvalidData => Finding::new(Outcome::TlsFailed, text),
            ErrorKind::UnexpectedEof if self.is_agreeing_on_tls() => {
                Finding::new(Outcome::TlsFailed, "the server closed the connection during the TLS handshake")
            }
            ErrorKind::ConnectionReset if self.is_agreeing_on_tls() => {
                Finding::new(Outcome::TlsFailed, "the server reset the connection during the TLS handshake")
            }
            ErrorKind::UnexpectedEof => Finding::new(Outcome::Closed, self.early("closed the connection")),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
                Finding::new(Outcome::Closed, self.early("reset the connection"))
            }
            _ => Finding::new(Outcome::Closed, format!("the connection was lost: {text}")),
        }
    }

    fn early(&self, what: &str) -> String {
        match (self.answered, self.has_asked()) {
            (true, _) => format!("the server {what}"),
            (false, true) => format!("the server {what} before it answered"),
            (false, false) => format!("the server {what} before HTTP/2 had begun"),
        }
    }

    /// What is found when the time that `plan` allows is over.
    pub(super) fn expired(&self, plan: &Plan) -> Finding {
        let connect = Duration::from_millis(plan.connect_timeout_ms);
        if self.has_asked() {
            let answer = Duration::from_millis(plan.answer_timeout_ms);
            return Finding::new(Outcome::AnswerTimeout, format!("no answer within {answer:?}"));
        }
        let text = if !self.connected {
            format!("no connection within {connect:?}")
        } else if self.is_agreeing_on_tls() {
            format!("connected, but the TLS handshake did not end within {connect:?}")
        } else {
            format!("connected, but the server did not begin HTTP/2 within {connect:?}")
        };
        Finding::new(Outcome::ConnectTimeout, text)
    }
}

fn not_connected(error: &io::Error) -> Finding {
    match error.kind() {
        ErrorKind::ConnectionRefused => Finding::new(Outcome::Refused, "connection refused"),
        ErrorKind::TimedOut => Finding::new(Outcome::ConnectTimeout, "no connection: timed out"),
        _ => Finding::new(Outcome::Unreachable, format!("no connection: {error}")),
    }
}

/// A watched server may be silent for long: the kernel finds out whether it is still there. An option that it refuses is left
/// as it was.
fn configure(socket: &Socket, plan: &Plan) {
    let Socket::Tcp(stream) = socket else { return };
    let socket = socket2::SockRef::from(stream);
    let _ = socket.set_tcp_nodelay(true);
    if plan.watch {
        let patience = Duration::from_millis(plan.answer_timeout_ms).max(Duration::from_secs(1));
        let keepalive =
            socket2::TcpKeepalive::new().with_time(patience).with_interval(Duration::from_secs(1)).with_retries(3);
        let _ = socket.set_tcp_keepalive(&keepalive);
        let _ = socket.set_tcp_user_timeout(Some(patience));
    }
}
