//! One thread: its connections, its exchanges, and the loop that moves their bytes.
//!
//! A turn of the loop reads what has arrived, passes it on into the output buffers of other connections, and at its end
//! writes each connection once. Writing once a turn, not once a frame, matters more for the price of a request than
//! everything else here together.
//!
//! The files follow a request: `read` takes frames, `facts` and `request` make sense of them, `pick` chooses the endpoint,
//! `forward` sends the request there, `relay` moves bodies both ways, `response` brings the answer back, `retry` and `hedge`
//! send a request again, `answer` writes our own, `finish` lets go, `flush` writes.

mod admit;
mod answer;
mod clock;
mod connection;
mod exchange;
mod facts;
mod finish;
mod flush;
mod forward;
mod hedge;
mod http1;
mod inspect;
mod limit;
mod memo;
mod pick;
mod read;
mod record;
mod relay;
mod request;
mod response;
mod retry;
mod setup;
mod timers;
mod transcoding;
mod transport;
mod tries;
mod view;

use crate::authenticate::cache::TokenCache;
use crate::bytes::wheel::Wheel;
use crate::http2::hpack::{Dictionary, Field, HeaderList};
use crate::observe::series::Series;
use crate::shared::{Mailbox, Message, Shared};
use crate::upstream::Pool;
use clock::Clock;
use connection::{Connections, Side, Stage};
use exchange::{Exchanges, Head};
use inspect::Log;
use memo::Memo;
use mio::{Events, Poll, Token};
use record::SeriesIndex;
use setup::Adopted;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tries::Tries;

/// The mailbox's waker; connections use their slots.
pub const WAKE: Token = Token(usize::MAX);

const EVENTS: usize = 256;
/// One read. Several of these a turn and connection, if it has more, but only after the others had theirs.
const READ_BUFFER: usize = 256 << 10;
/// Emptied heads that are kept for the next requests.
const SPARE_HEADS: usize = 1024;

/// What stands in the timing wheel.
#[derive(Debug, Clone, Copy)]
enum Key {
    Exchange(u32),
    Connection(u32),
    /// Endpoints of a pool may be connected to again.
    Pool(u32),
}

/// Fields that we add, made once.
struct OwnFields {
    server: Rc<Field>,
    date: Rc<Field>,
    date_unix: u64,
    http: Rc<Field>,
    https: Rc<Field>,
    request_id: Rc<Field>,
    userinfo: Rc<Field>,
    grpc: Rc<Field>,
    json: Rc<Field>,
    ok: Rc<Field>,
}

pub struct Worker {
    poll: Poll,
    clock: Clock,
    shared: Arc<Shared>,
    mailbox: Arc<Mailbox>,
    snapshot: Rc<Adopted>,
    dictionary: Rc<Dictionary>,
    own: OwnFields,
    random: u64,
    connections: Connections,
    exchanges: Exchanges,
    pools: Vec<Pool>,
    /// By the snapshot's numbers of backends.
    pool_of_backend: Vec<u32>,
    memo: Memo,
    /// Verified tokens.
    tokens: TokenCache,
    /// Exchanges that wait for keys: (slot, generation).
    held: Vec<(u32, u32)>,
    /// Connections with something to write.
    dirty: Vec<u32>,
    /// Connections that may have more to read without an event saying so.
    again: Vec<u32>,
    /// The fields of the frame that is being handled.
    list: HeaderList,
    /// Boxed, since exchanges hold them boxed: they go back and forth without being copied.
    #[allow(clippy::vec_box)]
    spare_heads: Vec<Box<Head>>,
    #[allow(clippy::vec_box)]
    spare_tries: Vec<Box<Tries>>,
    buffer: Vec<u8>,
    wheel: Wheel<Key>,
    due: Vec<(Key, u64)>,
    /// This worker's series, the same as in its mailbox.
    series: Vec<Arc<Series>>,
    series_index: SeriesIndex,
    log: Option<Log>,
    /// Pools with calls to report to their limiters.
    reporting: Vec<u32>,
    /// Every client was asked to go; those who come now are asked at once.
    closing: bool,
    stopping: bool,
}

impl Worker {
    /// Runs until told to stop.
    pub fn run(&mut self) {
        let mut events = Events::with_capacity(EVENTS);
        self.read_mail();
        while !self.stopping {
            let busy = !self.dirty.is_empty() || !self.again.is_empty();
            let timeout = if busy { Some(0) } else { self.wheel.next_ms(self.clock.now_ms) };
            match self.poll.poll(&mut events, timeout.map(Duration::from_millis)) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(_) => break,
            }
            self.clock.tick();
            self.expire();
            for slot in std::mem::take(&mut self.again) {
                self.readable(slot);
            }
            for event in &events {
                if event.token() == WAKE {
                    self.read_mail();
                    continue;
                }
                let slot = event.token().0 as u32;
                if event.is_writable() {
                    self.writable(slot);
                }
                if (event.is_read_closed() || event.is_error())
                    && let Some(connection) = self.connections.get(slot)
                {
                    connection.peer_ended = true;
                }
                if event.is_readable() || event.is_error() || event.is_read_closed() {
                    self.readable(slot);
                }
            }
            self.flush();
            self.connections.recycle();
            self.send_log();
            self.report_calls();
            self.mailbox.streams.store(self.exchanges.live(), Relaxed);
        }
    }

    fn read_mail(&mut self) {
        // One by one: where one of them makes the worker fail, the next one in its place has the others.
        for _ in 0..self.mailbox.len() {
            let Some(message) = self.mailbox.take() else { return };
            match message {
                Message::Accept { socket, listener } => self.accept(socket, listener),
                Message::Adopt(snapshot) => self.adopt(snapshot),
                Message::Endpoints { backend, endpoints } => self.set_endpoints(&backend, &endpoints),
                Message::EndpointChanges { backend, changed, removed } => {
                    self.change_endpoints(&backend, &changed, &removed);
                }
                Message::Health { backend, states } => self.set_health(&backend, &states),
                Message::KeysChanged => self.keys_changed(),
                Message::CloseConnections => self.close_connections(),
                Message::Log(target) => self.set_log(target),
                Message::Clients { most, sender } => {
                    let _ = sender.try_send(self.list_clients(most));
                }
                Message::Backends { sender } => {
                    let _ = sender.try_send(self.list_backends());
                }
                Message::Beat(sender) => {
                    let _ = sender.try_send(());
                }
                Message::Stop => self.stopping = true,
            }
        }
    }

    /// Puts a connection into the list of those to write at the end of the turn.
    #[inline(always)]
    fn mark(&mut self, slot: u32) {
        if let Some(connection) = self.connections.get(slot)
            && !connection.dirty
        {
            connection.dirty = true;
            self.dirty.push(slot);
        }
    }

    fn writable(&mut self, slot: u32) {
        let Some(connection) = self.connections.get(slot) else { return };
        if connection.stage == Stage::Connecting {
            self.connected(slot);
            return;
        }
        if connection.blocked {
            connection.blocked = false;
            self.mark(slot);
        }
    }

    /// A number that clients cannot foresee (PCG-like multiply and fold, seeded at random).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let folded = u128::from(self.random ^ 0x9e37_79b9_7f4a_7c15) * 0xda94_2042_e4dd_58b5;
        (folded >> 64) as u64 ^ folded as u64
    }

    fn is_upstream(&self, slot: u32) -> bool {
        matches!(self.connections.peek(slot).map(|connection| connection.side), Some(Side::Upstream { .. }))
    }
}
