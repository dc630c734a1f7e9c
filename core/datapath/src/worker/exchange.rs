//! A request and its response while they are under way: a stream of a client's connection, joined to one of a backend's.

use super::transcoding::Transcoding;
use super::tries::Tries;
use crate::authenticate::cache::Caller;
use crate::bytes::wheel::Armed;
use crate::http2::Ended;
use crate::http2::hpack::HeaderList;
use std::sync::Arc;

/// No connection.
pub(crate) const NONE: u32 = u32::MAX;

/// Indexes `Exchange::sides` and `Exchange::pending`.
pub(crate) const CLIENT: usize = 0;
pub(crate) const UPSTREAM: usize = 1;

/// One side's stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Half {
    pub(crate) connection: u32,
    /// 0 on a connection of HTTP/1.1.
    pub(crate) stream: u32,
    /// What we may send to that side.
    pub(crate) send_window: i32,
    /// What that side may send to us, and what of it was passed on without having been credited yet.
    pub(crate) receive_window: i32,
    pub(crate) uncredited: u32,
    /// It gets credit when so much has been passed on.
    pub(crate) credit_at: u32,
    /// That side has ended its direction.
    pub(crate) ended: bool,
    /// That side's header fields have arrived.
    pub(crate) headed: bool,
    /// Bytes of its body so far, and still to come by its content-length (`u64::MAX`: not said).
    pub(crate) bytes: u64,
    pub(crate) remaining: u64,
}

impl Half {
    /// How its stream ends when we want no more of it.
    pub(crate) fn left(&self) -> Ended {
        Ended::LeftByUs { awaited: self.receive_window.max(0) as u32 }
    }

    /// What it still has to send is known, and comes without credit: more is not worth a reset, which some clients
    /// take for a failure although the answer is whole.
    pub(crate) fn ends_soon(&self) -> bool {
        i64::try_from(self.remaining).is_ok_and(|remaining| remaining <= i64::from(self.receive_window))
    }

    pub(crate) const ABSENT: Half = Half {
        connection: NONE,
        stream: 0,
        send_window: 0,
        receive_window: 0,
        uncredited: 0,
        credit_at: u32::MAX,
        ended: false,
        headed: false,
        bytes: 0,
        remaining: u64::MAX,
    };
}

/// What waits to be sent to one side: for its windows, for room in its connection's buffer, or for a connection.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) data: Vec<u8>,
    pub(crate) position: usize,
    /// Leading bytes whose sender has its credit already (they are being sent again).
    pub(crate) credited: usize,
    pub(crate) end: bool,
    pub(crate) trailers: Option<Box<HeaderList>>,
}

impl Pending {
    pub(crate) fn left(&self) -> usize {
        self.data.len() - self.position
    }
}

/// The request's header fields as the backend gets them, and as much of its body as a retry needs.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) list: HeaderList,
    pub(crate) body: Vec<u8>,
    /// Of it, what was taken from the process's budget.
    pub(crate) charged: usize,
    /// `list` and `body` are all that was sent so far, and nothing has come back.
    pub(crate) replayable: bool,
    /// The client's method and path, where the backend gets others.
    pub(crate) original: Option<Box<(Vec<u8>, Vec<u8>)>>,
}

/// Why an exchange ended other than by a whole response; the words of the access log and of the counters.
pub(crate) type Reason = &'static str;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Waits for keys to decide on its token.
    Held,
    /// Its body is being collected, to be transcoded.
    Collecting,
    /// Waits for a connection to its backend.
    Queued,
    /// Waits before it is sent again.
    BackingOff,
    /// Joined to an upstream stream.
    Joined,
    /// A second attempt of another exchange.
    Hedge,
    /// Answered by us; the rest of the answer is being sent.
    Answered,
}

#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) live: bool,
    /// Tells this use of the slot from the former ones.
    pub(crate) generation: u32,
    pub(crate) phase: Phase,
    pub(crate) sides: [Half; 2],
    pub(crate) pending: [Option<Box<Pending>>; 2],
    pub(crate) head: Option<Box<Head>>,
    pub(crate) pool: u32,
    /// `NONE`: it was sent to none.
    pub(crate) endpoint: u32,
    /// The table's number of the method, plus one; 0: none that is known.
    pub(crate) method: u32,
    pub(crate) transcoding: Option<Box<Transcoding>>,
    /// Whose token was verified.
    pub(crate) caller: Option<Arc<Caller>>,
    pub(crate) grpc: bool,
    /// The answer to HEAD has no body.
    pub(crate) is_head: bool,
    pub(crate) attempts: u32,
    pub(crate) tries: Option<Box<Tries>>,
    /// The exchange that this one is a hedge of.
    pub(crate) hedge_of: u32,
    pub(crate) started_ns: u64,
    /// In the worker's milliseconds; 0: none.
    pub(crate) deadline_ms: u64,
    pub(crate) idle_timeout_ms: u64,
    pub(crate) held_until_ms: u64,
    pub(crate) active_ms: u64,
    pub(crate) armed: Armed,
    pub(crate) status: u16,
    /// 255: none was seen.
    pub(crate) grpc_status: u8,
    pub(crate) reason: Reason,
    /// The rate limit that refused it.
    pub(crate) limit: Option<Arc<str>>,
    /// When it was let in to its backend, whose calls are counted; 0: it is not counted, or not any more.
    pub(crate) entered_ns: u64,
}

/// The worker's exchanges: a slab whose slots are used again, the last one freed first, so that they stay in cache.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    slots: Vec<Exchange>,
    free: Vec<u32>,
}

impl Exchanges {
    pub(crate) fn open(&mut self) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize].live = true;
            return slot;
        }
        self.slots.push(Exchange {
            live: true,
            generation: 0,
            phase: Phase::Queued,
            sides: [Half::ABSENT; 2],
            pending: [None, None],
            head: None,
            pool: NONE,
            endpoint: NONE,
            method: 0,
            transcoding: None,
            caller: None,
            grpc: false,
            is_head: false,
            attempts: 0,
            tries: None,
            hedge_of: NONE,
            started_ns: 0,
            deadline_ms: 0,
            idle_timeout_ms: 0,
            held_until_ms: 0,
            active_ms: 0,
            armed: Armed::default(),
            status: 0,
            grpc_status: u8::MAX,
            reason: "",
            limit: None,
            entered_ns: 0,
        });
        (self.slots.len() - 1) as u32
    }

    pub(crate) fn release(&mut self, slot: u32) {
        let exchange = &mut self.slots[slot as usize];
        exchange.live = false;
        exchange.caller = None;
        exchange.generation = exchange.generation.wrapping_add(1);
        self.free.push(slot);
    }

    /// The slot's exchange if it still is the one of that generation.
    pub(crate) fn current(&mut self, slot: u32, generation: u32) -> Option<&mut Exchange> {
        self.slots.get_mut(slot as usize).filter(|exchange| exchange.live && exchange.generation == generation)
    }

    pub(crate) fn current_live(&mut self, slot: u32) -> Option<&mut Exchange> {
        self.slots.get_mut(slot as usize).filter(|exchange| exchange.live)
    }

    /// The pools of calls that their limiters count.
    pub(crate) fn entered(&self) -> impl Iterator<Item = u32> {
        self.slots.iter().filter(|exchange| exchange.live && exchange.entered_ns != 0).map(|exchange| exchange.pool)
    }

    /// Bytes that the live exchanges took from the process's budget.
    pub(crate) fn held_bytes(&self) -> usize {
        let held = |exchange: &Exchange| {
            let pending: usize = exchange.pending.iter().flatten().map(|pending| pending.left()).sum();
            let kept = exchange.head.as_ref().map_or(0, |head| head.charged);
            let collected = exchange.transcoding.as_ref().map_or(0, |transcoding| transcoding.collected());
            pending + kept + collected
        };
        self.slots.iter().filter(|exchange| exchange.live).map(held).sum()
    }

    pub(crate) fn live(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

impl std::ops::Index<u32> for Exchanges {
    type Output = Exchange;
    #[inline(always)]
    fn index(&self, slot: u32) -> &Exchange {
        &self.slots[slot as usize]
    }
}

impl std::ops::IndexMut<u32> for Exchanges {
    #[inline(always)]
    fn index_mut(&mut self, slot: u32) -> &mut Exchange {
        &mut self.slots[slot as usize]
    }
}
