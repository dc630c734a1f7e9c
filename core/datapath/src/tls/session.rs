//! One TLS connection over a non-blocking stream.
//!
//! rustls reads at most 4 KiB a call when left to itself, so ciphertext is read here in pieces of more than a record,
//! into a buffer that a thread's sessions share: an idle session holds none. What rustls decrypts goes straight to the
//! caller; ciphertext that did not fit is kept for the next call, so that nothing waits unseen behind a `WouldBlock`,
//! after which an edge-triggered poll would not speak up again.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};

use rustls::pki_types::CertificateDer;
use rustls::{Connection, HandshakeKind};

use super::socket::ByteStream;

/// About two records of the largest size (2^14 bytes, RFC 8446 section 5.1).
const READ_BYTES: usize = 32 << 10;

/// Ciphertext that may wait for a slow peer; as much plaintext waits for the end of the handshake.
const PENDING_BYTES: usize = 64 << 10;

thread_local! {
    static CIPHERTEXT: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// Whether the writing half is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    Open,
    /// To be closed after the handshake: an alert within it would end the connection and lose what waits for it.
    Wanted,
    /// The close_notify is queued; the stream's half is closed once it has been sent.
    Closing,
    Closed,
}

#[derive(Debug)]
pub struct TlsSession<S> {
    connection: Connection,
    stream: S,
    /// Read from the stream, not yet taken by rustls.
    undigested: Vec<u8>,
    /// The stream gave as much as was asked for.
    full_read: bool,
    /// Why TLS failed, to be told when the content before it has been read.
    failure: Option<rustls::Error>,
    sending: Sending,
}

impl<S: ByteStream> TlsSession<S> {
    pub(super) fn new(mut connection: Connection, stream: S) -> TlsSession<S> {
        connection.set_buffer_limit(Some(PENDING_BYTES));
        TlsSession {
            connection,
            stream,
            undigested: Vec::new(),
            full_read: false,
            failure: None,
            sending: Sending::Open,
        }
    }

    pub(super) fn stream_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    pub(super) fn stream(&self) -> &S {
        &self.stream
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    pub(super) fn alpn_protocol(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    pub(super) fn peer_certificate(&self) -> Option<&CertificateDer<'static>> {
        self.connection.peer_certificates()?.first()
    }

    pub(super) fn wants_write(&self) -> bool {
        self.connection.wants_write() || self.sending == Sending::Closing
    }

    /// The last read from the stream filled its buffer, or left something that rustls has not taken.
    pub(super) fn may_hold_more(&self) -> bool {
        self.full_read || !self.undigested.is_empty()
    }

    pub(super) fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.connection.reader().read(buf) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                outcome => return outcome,
            }
            if let Some(failure) = &self.failure {
                return Err(io::Error::new(ErrorKind::InvalidData, failure.clone()));
            }
            let length = self.receive(buf)?;
            if length > 0 {
                return Ok(length);
            }
        }
    }

    /// Has rustls digest some ciphertext; bytes of plaintext that came of it in `buf`.
    fn receive(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.undigested.is_empty() {
            let mut waiting = std::mem::take(&mut self.undigested);
            let (taken, length) = self.digest(&waiting, buf)?;
            waiting.drain(..taken);
            // One that is empty gives its memory back.
            self.undigested = if waiting.is_empty() { Vec::new() } else { waiting };
            return Ok(length);
        }
        CIPHERTEXT.with_borrow_mut(|ciphertext| {
            let count = super::transport::retry(|| self.stream.read(ciphertext))?;
            if count == 0 {
                // Lets the reader tell a clean end from a truncated stream.
                self.connection.read_tls(&mut io::empty())?;
                return Ok(0);
            }
            self.full_read = count == ciphertext.len();
            let received = ciphertext.get(..count).unwrap_or_default();
            let (taken, length) = self.digest(received, buf)?;
            self.undigested.extend_from_slice(received.get(taken..).unwrap_or_default());
            Ok(length)
        })
    }

    /// Bytes of `ciphertext` taken, and of `buf` filled. Stops early only when `buf` is full or the peer has closed.
    fn digest(&mut self, ciphertext: &[u8], buf: &mut [u8]) -> io::Result<(usize, usize)> {
        let mut rest = ciphertext;
        let mut filled = 0;
        while !rest.is_empty() && filled < buf.len() {
            let closed = self.connection.read_tls(&mut rest)? == 0;
            self.failure = self.connection.process_new_packets().err();
            match self.connection.reader().read(buf.get_mut(filled..).unwrap_or_default()) {
                Ok(length) => filled += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if closed || self.failure.is_some() {
                // What follows a close_notify is ignored (RFC 8446 section 6.1).
                rest = &[];
            }
        }
        // Answers of the handshake, or an alert. That the peer takes no more is no reason to withhold what it has sent:
        // the caller learns it with its own next write.
        let _ = self.flush();
        Ok((ciphertext.len() - rest.len(), filled))
    }

    /// `WouldBlock` only when the stream has just said so itself, or the handshake is not over: only then will there
    /// be an event to go on with. So what is pending is sent before there is found to be no room for more.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut accepted = 0;
        while let Some(rest) = bytes.get(accepted..).filter(|rest| !rest.is_empty()) {
            self.send_unless_blocked()?;
            match self.connection.writer().write(rest)? {
                0 if accepted == 0 => return Err(ErrorKind::WouldBlock.into()),
                0 => break,
                count => accepted += count,
            }
        }
        self.send_unless_blocked()?;
        Ok(accepted)
    }

    /// Sends what is pending. `WouldBlock`: some still is.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.sending == Sending::Wanted && !self.connection.is_handshaking() {
            self.sending = Sending::Closing;
            self.connection.send_close_notify();
        }
        while self.connection.wants_write() {
            if super::transport::retry(|| self.connection.write_tls(&mut self.stream))? == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
        }
        if self.sending == Sending::Closing {
            self.sending = Sending::Closed;
            self.stream.shutdown_write()?;
        }
        Ok(())
    }

    pub(super) fn shutdown_write(&mut self) -> io::Result<()> {
        if self.sending == Sending::Open {
            self.sending = Sending::Wanted;
        }
        self.send_unless_blocked()
    }

    fn send_unless_blocked(&mut self) -> io::Result<()> {
        match self.flush() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            outcome => outcome,
        }
    }
}
