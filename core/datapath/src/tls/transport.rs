use std::io::{self, ErrorKind};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConnection, Connection, ServerConfig, ServerConnection};

use super::client::ClientSettings;
use super::session::TlsSession;
use super::socket::{ByteStream, Socket};

/// What both sides agreed to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    Http2,
    Http1,
}

/// A non-blocking connection, with TLS or without. Both look alike to their user.
#[derive(Debug)]
pub enum Transport<S = Socket> {
    Plain(S),
    Tls(Box<TlsSession<S>>),
}

impl<S: ByteStream> Transport<S> {
    /// The server's side of a connection that was just accepted.
    pub fn accept_tls(stream: S, config: Arc<ServerConfig>) -> io::Result<Transport<S>> {
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        Ok(Transport::Tls(Box::new(TlsSession::new(Connection::Server(connection), stream))))
    }

    /// The client's side. It has something to write at once: call [`Transport::flush`] when the stream is connected.
    pub fn connect_tls(stream: S, settings: &ClientSettings) -> io::Result<Transport<S>> {
        let name = settings.server_name.clone();
        let connection = ClientConnection::new(settings.config.clone(), name).map_err(io::Error::other)?;
        Ok(Transport::Tls(Box::new(TlsSession::new(Connection::Client(connection), stream))))
    }

    pub fn is_tls(&self) -> bool {
        matches!(self, Transport::Tls(_))
    }

    pub fn stream(&self) -> &S {
        match self {
            Transport::Plain(stream) => stream,
            Transport::Tls(session) => session.stream(),
        }
    }

    /// To register it for events.
    pub fn stream_mut(&mut self) -> &mut S {
        match self {
            Transport::Plain(stream) => stream,
            Transport::Tls(session) => session.stream_mut(),
        }
    }

    /// Content into `buf`, which must not be empty. 0: the peer ended its side in order. To be called until `WouldBlock`.
    ///
    /// Drives a handshake that is under way. Errors: `WouldBlock`; `UnexpectedEof` for TLS that ends without
    /// close_notify, which anybody on the way can bring about; `InvalidData` when TLS fails, with rustls' reason.
    pub fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(stream) => retry(|| stream.read(buf)),
            Transport::Tls(session) => session.read(buf),
        }
    }

    /// Takes a part of `bytes` and says how much. TLS keeps up to 64 KiB of records that the stream does not take yet,
    /// and as much content until the handshake is over; they are sent with the next call of this or of `flush`.
    ///
    /// Errors: `WouldBlock` when nothing was taken. It is tried again when the stream turns writable, or, if it was
    /// said while [`Transport::is_handshaking`], after the `read` that ends the handshake, which no event announces.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Transport::Plain(stream) => retry(|| stream.write(bytes)),
            Transport::Tls(session) => session.write(bytes),
        }
    }

    /// Sends what [`Transport::write`] took and the handshake has to say. `WouldBlock`: some is left.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            Transport::Plain(_) => Ok(()),
            Transport::Tls(session) => session.flush(),
        }
    }

    /// Something is left to flush when the stream turns writable.
    pub fn wants_write(&self) -> bool {
        match self {
            Transport::Plain(_) => false,
            Transport::Tls(session) => session.wants_write(),
        }
    }

    /// Whether a read that did not fill its buffer may have left something: an edge-triggered poll will not say so.
    pub fn may_hold_more(&self) -> bool {
        match self {
            Transport::Plain(_) => false,
            Transport::Tls(session) => session.may_hold_more(),
        }
    }

    pub fn is_handshaking(&self) -> bool {
        match self {
            Transport::Plain(_) => false,
            Transport::Tls(session) => session.is_handshaking(),
        }
    }

    /// The handshake took up a former session (a metric: full handshakes cost a signature each).
    pub fn is_resumed(&self) -> bool {
        match self {
            Transport::Plain(_) => false,
            Transport::Tls(session) => session.is_resumed(),
        }
    }

    /// None: without TLS, before the end of the handshake, or where one side offered nothing.
    pub fn alpn(&self) -> Option<Alpn> {
        match self {
            Transport::Plain(_) => None,
            Transport::Tls(session) => match session.alpn_protocol()? {
                b"h2" => Some(Alpn::Http2),
                b"http/1.1" => Some(Alpn::Http1),
                _ => None,
            },
        }
    }

    /// The peer's own certificate, verified, after the handshake.
    pub fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        match self {
            Transport::Plain(_) => None,
            Transport::Tls(session) => session.peer_certificate(),
        }
    }

    /// Ends this side in order: what is pending, close_notify, then the stream's half. While it `wants_write`
    /// afterwards the rest is up to `flush`. Reading goes on.
    pub fn shutdown_write(&mut self) -> io::Result<()> {
        match self {
            Transport::Plain(stream) => stream.shutdown_write(),
            Transport::Tls(session) => session.shutdown_write(),
        }
    }
}

/// Repeats a system call that a signal interrupted.
pub(super) fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
