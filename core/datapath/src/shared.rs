//! What holds for the whole process, shared by its workers.

use crate::access_log::LogSender;
use crate::admission::limiter::Limiters;
use crate::balance::spread::Health;
use crate::observe::report::WorkerStats;
use crate::snapshot::{Address, Endpoint, Snapshot};
use crate::tls::Socket;
use crate::upstream::{AllBreakers, Tallies};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// What other threads tell a worker; taken between two turns of its loop.
pub enum Message {
    Accept {
        socket: Socket,
        listener: Arc<str>,
    },
    Adopt(Arc<Snapshot>),
    Endpoints {
        backend: String,
        endpoints: Vec<Endpoint>,
    },
    /// Of a backend's endpoints, those that are new or different, and those that are gone.
    EndpointChanges {
        backend: String,
        changed: Vec<Endpoint>,
        removed: Vec<Address>,
    },
    /// What is known of some endpoints of a backend has changed.
    Health {
        backend: String,
        states: Vec<(Address, Health)>,
    },
    /// A provider's keys were replaced, or could not be fetched.
    KeysChanged,
    /// GOAWAY and `Connection: close` on every connection.
    CloseConnections,
    /// Where the access log goes from now on, and how many lines a second of requests that succeeded.
    Log(Option<(LogSender, u32)>),
    /// The open client connections, at most so many.
    Clients {
        most: usize,
        sender: SyncSender<Vec<serde_json::Value>>,
    },
    /// Backends, endpoints and their connections.
    Backends {
        sender: SyncSender<Vec<serde_json::Value>>,
    },
    /// Answer through the channel, to show that the loop turns.
    Beat(SyncSender<()>),
    Stop,
}

/// One worker's mailbox and what others may know of it.
pub struct Mailbox {
    messages: Mutex<VecDeque<Message>>,
    waker: mio::Waker,
    /// Client connections given to it and not closed.
    pub clients: AtomicUsize,
    pub streams: AtomicUsize,
    pub stats: WorkerStats,
}

impl Mailbox {
    pub fn new(waker: mio::Waker) -> Self {
        Mailbox {
            messages: Mutex::default(),
            waker,
            clients: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            stats: WorkerStats::default(),
        }
    }

    pub fn send(&self, message: Message) {
        lock(&self.messages).push_back(message);
        // A waker fails only where its poll is gone, and the worker with it.
        let _ = self.waker.wake();
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        lock(&self.messages).len()
    }

    /// The oldest one.
    pub fn take(&self) -> Option<Message> {
        lock(&self.messages).pop_front()
    }
}

#[derive(Default)]
pub struct Shared {
    /// Bytes of bodies that are buffered, over all workers.
    buffered: AtomicU64,
    pub draining: AtomicBool,
    events: Events,
    tallies: Arc<Tallies>,
    breakers: AllBreakers,
    limiters: Limiters,
}

impl Shared {
    /// Takes `bytes` from the process's budget; false: they would exceed it, and nothing was taken.
    pub fn charge(&self, bytes: usize, budget: u64) -> bool {
        let before = self.buffered.fetch_add(bytes as u64, Relaxed);
        if before + bytes as u64 > budget {
            self.buffered.fetch_sub(bytes as u64, Relaxed);
            return false;
        }
        true
    }

    pub fn refund(&self, bytes: usize) {
        self.buffered.fetch_sub(bytes as u64, Relaxed);
    }

    /// How the calls to each endpoint end.
    pub(crate) fn tallies(&self) -> &Arc<Tallies> {
        &self.tallies
    }

    /// How much of each backend is in use.
    pub(crate) fn breakers(&self) -> &AllBreakers {
        &self.breakers
    }

    /// How many calls each backend has under way.
    pub fn limiters(&self) -> &Limiters {
        &self.limiters
    }

    /// An endpoint failed again and again.
    pub(crate) fn tell_outlier(&self, backend: &str, address: &Address, consecutive: u32) {
        let event = serde_json::json!({
            "event": "outlier",
            "backend": backend,
            "address": address.to_string(),
            "consecutive": consecutive,
        });
        self.events.push(event.to_string());
    }

    /// An endpoint could not be connected to, or a connection to it ended.
    pub(crate) fn tell_lost(&self, backend: &str, address: &Address) {
        let event = serde_json::json!({"event": "endpoint-lost", "backend": backend, "address": address.to_string()});
        self.events.push(event.to_string());
    }

    /// What Python shall hear of.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// A request waits for keys.
    pub fn tell_keys_wanted(&self, provider: &str, key_id: Option<&str>) {
        self.events.push(serde_json::json!({"event": "keys-wanted", "provider": provider, "kid": key_id}).to_string());
    }

    pub fn buffered(&self) -> u64 {
        self.buffered.load(Relaxed)
    }
}

/// Events that nobody fetched; more are dropped and counted.
const MOST_EVENTS: usize = 1_000;

/// What Python has to hear of: JSON objects, and a call that wakes it.
#[derive(Default)]
pub struct Events {
    queue: Mutex<VecDeque<String>>,
    dropped: AtomicU64,
    wake: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Events {
    /// `wake` is called, from any thread, when there is something to take.
    pub fn on_event(&self, wake: Box<dyn Fn() + Send + Sync>) {
        let _ = self.wake.set(wake);
    }

    pub fn push(&self, event: String) {
        let mut queue = lock(&self.queue);
        if queue.len() >= MOST_EVENTS {
            self.dropped.fetch_add(1, Relaxed);
            return;
        }
        queue.push_back(event);
        drop(queue);
        if let Some(wake) = self.wake.get() {
            wake();
        }
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.queue)).into()
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }
}

/// A panic in another thread leaves these locks' contents usable: they are replaced whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
