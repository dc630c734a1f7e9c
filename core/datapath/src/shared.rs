//! What holds for the whole process, shared by its workers.

use crate::snapshot::Address;
use crate::snapshot::Snapshot;
use crate::tls::Socket;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What other threads tell a worker; taken between two turns of its loop.
pub enum Message {
    Accept { socket: Socket, listener: Arc<str> },
    Adopt(Arc<Snapshot>),
    Endpoints { backend: String, endpoints: Vec<(Address, u32)> },
    /// GOAWAY and `Connection: close` on every connection.
    CloseConnections,
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
}

impl Mailbox {
    pub fn new(waker: mio::Waker) -> Self {
        Mailbox {
            messages: Mutex::default(),
            waker,
            clients: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
        }
    }

    pub fn send(&self, message: Message) {
        lock(&self.messages).push_back(message);
        // A waker fails only where its poll is gone, and the worker with it.
        let _ = self.waker.wake();
    }

    pub fn take(&self) -> VecDeque<Message> {
        std::mem::take(&mut *lock(&self.messages))
    }
}

#[derive(Default)]
pub struct Shared {
    /// Bytes of bodies that are buffered, over all workers.
    buffered: AtomicU64,
    pub draining: AtomicBool,
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

    pub fn buffered(&self) -> u64 {
        self.buffered.load(Relaxed)
    }
}

/// A panic in another thread leaves these locks' contents usable: they are replaced whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
