//! A socket with the protocol spoken on it.

use super::http1::Http1;
use crate::bytes::wheel::Armed;
use crate::http1::write_head;
use crate::http1::write_interim;
use crate::http2;
use crate::http2::hpack::{Dictionary, Field, HeaderList};
use crate::tls::Transport;
use crate::upstream::Place;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// Bytes that may wait in a connection's output buffer before DATA is held back in the streams' own buffers, where it
/// counts against their windows.
pub(crate) const HIGH_WATER: usize = 64 << 10;
/// What a peer may make us say (acknowledgements, answers) without reading it, before we stop reading from it.
pub(crate) const CONTROL_HIGH_WATER: usize = 256 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Upstream { pool: u32, endpoint: u32 },
}

#[derive(Debug)]
pub(crate) enum Protocol {
    /// Nothing was read that tells.
    Unknown,
    Http2(Box<http2::Connection>),
    Http1(Box<Http1>),
}

/// A response cannot be written as it is; what has gone out of it must be cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unwritable;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Waiting for the TCP connection to a backend.
    Connecting,
    Open,
    /// Its last bytes are being written, then it is closed.
    Closing,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) side: Side,
    pub(crate) transport: Transport,
    /// The listener that accepted it.
    pub(crate) listener: Option<Arc<str>>,
    pub(crate) peer: Option<SocketAddr>,
    /// `x-forwarded-client-cert` for its requests.
    pub(crate) client_certificate: Option<Rc<Field>>,
    pub(crate) protocol: Protocol,
    pub(crate) stage: Stage,
    /// Read, but not yet a whole frame.
    pub(crate) input: Vec<u8>,
    /// In the worker's list of connections to write.
    pub(crate) dirty: bool,
    /// The socket took less than it was given; it will say when it takes more.
    pub(crate) blocked: bool,
    /// A backend's SETTINGS have arrived: it takes streams.
    pub(crate) ready: bool,
    /// It refused a stream: it gets no new ones before this.
    pub(crate) refused_until_ms: u64,
    /// The end of its bytes is in the socket, maybe behind others: no event will tell again.
    pub(crate) peer_ended: bool,
    /// Not read on until the output buffer has drained.
    pub(crate) paused: bool,
    /// Exchanges whose data waits for this connection's window or buffer: (slot, generation).
    pub(crate) waiting: Vec<(u32, u32)>,
    pub(crate) peer_address: Box<str>,
    /// `x-forwarded-for` for requests that have none.
    pub(crate) forwarded_for: Option<Rc<Field>>,
    pub(crate) armed: Armed,
    pub(crate) opened_ms: u64,
    /// When it was last read from.
    pub(crate) active_ms: u64,
    /// Since when an unfinished head (preface, header block) is being waited for; 0: none is.
    pub(crate) head_since_ms: u64,
    /// Our PING that has not been answered; 0: none.
    pub(crate) ping_sent_ms: u64,
    /// First GOAWAY was sent; the second follows at this time, then the grace period's end. 0: not draining.
    pub(crate) drain_ms: u64,
    pub(crate) drain_announced: bool,
    /// The last stream was named; the connection ends with its last stream.
    pub(crate) drained: bool,
    /// When the grace period ends, whatever is open. 0: never.
    pub(crate) end_ms: u64,
    pub(crate) requests: u64,
    /// Its place among its backend's connections.
    pub(crate) place: Option<Place>,
}

impl Connection {
    pub(crate) fn new(side: Side, transport: Transport, stage: Stage, now_ms: u64) -> Self {
        let peer = super::transport::peer_address(transport.stream());
        let peer_address = peer.map_or_else(|| "unix".into(), |peer| peer.ip().to_canonical().to_string().into());
        Connection {
            side,
            transport,
            listener: None,
            peer,
            client_certificate: None,
            protocol: Protocol::Unknown,
            stage,
            input: Vec::new(),
            dirty: false,
            blocked: false,
            ready: false,
            refused_until_ms: 0,
            peer_ended: false,
            paused: false,
            waiting: Vec::new(),
            peer_address,
            forwarded_for: None,
            armed: Armed::default(),
            opened_ms: now_ms,
            active_ms: now_ms,
            head_since_ms: now_ms,
            ping_sent_ms: 0,
            drain_ms: 0,
            drain_announced: false,
            drained: false,
            end_ms: 0,
            requests: 0,
            place: None,
        }
    }

    pub(crate) fn is_client(&self) -> bool {
        self.side == Side::Client
    }

    #[inline(always)]
    pub(crate) fn http2(&mut self) -> Option<&mut http2::Connection> {
        match &mut self.protocol {
            Protocol::Http2(connection) => Some(connection),
            _ => None,
        }
    }

    /// Whether it takes another stream now, `limit` at most.
    #[inline]
    pub(crate) fn has_room(&self, limit: u32, now_ms: u64) -> bool {
        let Protocol::Http2(http2) = &self.protocol else { return false };
        self.stage == Stage::Open
            && self.refused_until_ms <= now_ms
            && http2.has_room()
            && http2.stream_count() < limit as usize
    }

    pub(crate) fn http1(&mut self) -> Option<&mut Http1> {
        match &mut self.protocol {
            Protocol::Http1(connection) => Some(connection),
            _ => None,
        }
    }

    /// Bytes that wait in the output buffer.
    #[inline]
    pub(crate) fn backlog(&self) -> usize {
        match &self.protocol {
            Protocol::Http2(connection) => connection.backlog(),
            Protocol::Http1(connection) => connection.backlog(),
            Protocol::Unknown => 0,
        }
    }

    /// What the connection's own window lets us send.
    #[inline(always)]
    pub(crate) fn send_window(&self) -> i32 {
        match &self.protocol {
            Protocol::Http2(connection) => connection.send_window,
            _ => i32::MAX,
        }
    }

    /// Streams that are open.
    pub(crate) fn stream_count(&self) -> usize {
        match &self.protocol {
            Protocol::Http2(connection) => connection.stream_count(),
            Protocol::Http1(connection) => usize::from(connection.exchange.is_some()),
            Protocol::Unknown => 0,
        }
    }

    /// The exchanges whose streams are open.
    pub(crate) fn exchanges(&self) -> Vec<u32> {
        match &self.protocol {
            Protocol::Http2(connection) => connection.streams().map(|(_, exchange)| exchange).collect(),
            Protocol::Http1(connection) => connection.exchange.into_iter().collect(),
            Protocol::Unknown => Vec::new(),
        }
    }

    /// Appends a response's header fields; an interim response has a status below 200.
    #[inline]
    pub(crate) fn write_head(
        &mut self,
        dictionary: &Dictionary,
        stream: u32,
        status: u16,
        list: &HeaderList,
        end_stream: bool,
    ) -> Result<(), Unwritable> {
        match &mut self.protocol {
            Protocol::Http2(connection) => {
                connection.headers(stream, end_stream, |encoder, out| encoder.list(list, out));
                Ok(())
            }
            Protocol::Http1(connection) => {
                let Some(reply) = &connection.reply else { return Err(Unwritable) };
                let fields = list.iter(dictionary).filter(|(name, _)| !name.starts_with(b":"));
                if status < 200 {
                    return write_interim(&mut connection.out, reply, status, fields).map_err(|_| Unwritable);
                }
                let writer = write_head(&mut connection.out, reply, status, fields, end_stream);
                connection.writer = Some(writer.map_err(|_| Unwritable)?);
                if end_stream { self.write_end(dictionary, stream, None) } else { Ok(()) }
            }
            Protocol::Unknown => Err(Unwritable),
        }
    }

    /// Appends a part of a body.
    #[inline(always)]
    pub(crate) fn write_data(
        &mut self,
        dictionary: &Dictionary,
        stream: u32,
        bytes: &[u8],
        end_stream: bool,
    ) -> Result<(), Unwritable> {
        match &mut self.protocol {
            Protocol::Http2(connection) => {
                connection.data(stream, end_stream, bytes);
                Ok(())
            }
            Protocol::Http1(connection) => {
                let Some(writer) = &mut connection.writer else { return Err(Unwritable) };
                writer.write(&mut connection.out, bytes).map_err(|_| Unwritable)?;
                if end_stream { self.write_end(dictionary, stream, None) } else { Ok(()) }
            }
            Protocol::Unknown => Err(Unwritable),
        }
    }

    /// Appends the end of a message, with trailers or without.
    pub(crate) fn write_end(
        &mut self,
        dictionary: &Dictionary,
        stream: u32,
        trailers: Option<&HeaderList>,
    ) -> Result<(), Unwritable> {
        match &mut self.protocol {
            Protocol::Http2(connection) => {
                match trailers {
                    Some(list) => connection.headers(stream, true, |encoder, out| encoder.list(list, out)),
                    None => connection.data(stream, true, b""),
                }
                Ok(())
            }
            Protocol::Http1(connection) => {
                let Some(writer) = connection.writer else { return Err(Unwritable) };
                let fields = trailers.into_iter().flat_map(|list| list.iter(dictionary));
                writer.finish(&mut connection.out, fields).map_err(|_| Unwritable)
            }
            Protocol::Unknown => Err(Unwritable),
        }
    }
}

/// The worker's connections. A slot is used again only in a later turn, so that events of this one cannot be mistaken.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    slots: Vec<Option<Box<Connection>>>,
    free: Vec<u32>,
    freed_now: Vec<u32>,
}

impl Connections {
    pub(crate) fn insert(&mut self, connection: Connection) -> u32 {
        let connection = Some(Box::new(connection));
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = connection;
                slot
            }
            None => {
                self.slots.push(connection);
                (self.slots.len() - 1) as u32
            }
        }
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<Box<Connection>> {
        let connection = self.slots.get_mut(slot as usize)?.take()?;
        self.freed_now.push(slot);
        Some(connection)
    }

    /// To be called between two turns.
    pub(crate) fn recycle(&mut self) {
        self.free.append(&mut self.freed_now);
    }

    #[inline(always)]
    pub(crate) fn get(&mut self, slot: u32) -> Option<&mut Connection> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    #[inline(always)]
    pub(crate) fn peek(&self, slot: u32) -> Option<&Connection> {
        self.slots.get(slot as usize)?.as_deref()
    }

    /// Two different connections at once.
    #[inline(always)]
    pub(crate) fn pair(&mut self, one: u32, other: u32) -> Option<(&mut Connection, &mut Connection)> {
        let [a, b] = self.slots.get_disjoint_mut([one as usize, other as usize]).ok()?;
        Some((a.as_deref_mut()?, b.as_deref_mut()?))
    }

    pub(crate) fn keys(&self) -> Vec<u32> {
        (0..self.slots.len() as u32).filter(|&slot| self.slots[slot as usize].is_some()).collect()
    }
}
