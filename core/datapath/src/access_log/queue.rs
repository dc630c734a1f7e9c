//! The way from the workers to the writing thread: bounded, and never waited for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::record::Record;

/// Batches and records that may wait; a record takes about 1 KiB.
const MAX_BATCHES: usize = 1024;
const MAX_RECORDS: usize = 16 << 10;

/// Records by what became of them, and what went wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogCounters {
    pub written: u64,
    /// The thread had no room for them.
    pub dropped: u64,
    /// They could not be written: a full disk, a closed pipe.
    pub lost: u64,
    pub errors: u64,
    /// The latest of those errors.
    pub last_error: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    queued: AtomicUsize,
    written: AtomicU64,
    dropped: AtomicU64,
    lost: AtomicU64,
    errors: AtomicU64,
    last_os_error: AtomicI32,
    pub(super) reopen: AtomicBool,
    pub(super) stopping: AtomicBool,
}

impl Shared {
    pub(super) fn count_written(&self, lines: usize) {
        self.written.fetch_add(lines as u64, Relaxed);
    }

    pub(super) fn count_lost(&self, lines: usize) {
        self.lost.fetch_add(lines as u64, Relaxed);
    }

    pub(super) fn count_error(&self, error: &io::Error) {
        self.errors.fetch_add(1, Relaxed);
        self.last_os_error.store(error.raw_os_error().unwrap_or(0), Relaxed);
    }
}

pub(super) enum Message {
    Batch(Vec<Record>),
    /// Look at the flags.
    Wake,
}

/// A worker's end. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogSender {
    channel: SyncSender<Message>,
    pub(super) shared: Arc<Shared>,
}

/// The thread's end.
pub(super) struct LogReceiver {
    channel: Receiver<Message>,
    pub(super) shared: Arc<Shared>,
}

pub(super) fn queue() -> (LogSender, LogReceiver) {
    let (sender, receiver) = sync_channel(MAX_BATCHES);
    let shared = Arc::new(Shared::default());
    (LogSender { channel: sender, shared: shared.clone() }, LogReceiver { channel: receiver, shared })
}

impl LogSender {
    /// Hands a batch over, or drops it and counts. Never waits.
    pub fn send(&self, batch: Vec<Record>) {
        let count = batch.len();
        let queued = self.shared.queued.fetch_add(count, Relaxed);
        let is_open = queued + count <= MAX_RECORDS && !self.shared.stopping.load(Relaxed);
        if !is_open || self.channel.try_send(Message::Batch(batch)).is_err() {
            self.shared.queued.fetch_sub(count, Relaxed);
            self.shared.dropped.fetch_add(count as u64, Relaxed);
        }
    }

    pub fn counters(&self) -> LogCounters {
        let shared = &self.shared;
        let last = shared.last_os_error.load(Relaxed);
        LogCounters {
            written: shared.written.load(Relaxed),
            dropped: shared.dropped.load(Relaxed),
            lost: shared.lost.load(Relaxed),
            errors: shared.errors.load(Relaxed),
            last_error: (last != 0).then(|| io::Error::from_raw_os_error(last).to_string()),
        }
    }

    /// Has the thread look at its flags. With a full queue it will do so anyway.
    pub(super) fn wake(&self) {
        match self.channel.try_send(Message::Wake) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

impl LogReceiver {
    /// The next batch; empty when there is none and something else wants attention. None when nothing will come.
    pub(super) fn next(&self) -> Option<Vec<Record>> {
        match self.channel.recv().ok()? {
            Message::Batch(batch) => Some(self.taken(batch)),
            Message::Wake => Some(Vec::new()),
        }
    }

    /// A batch that waits already.
    pub(super) fn waiting(&self) -> Option<Vec<Record>> {
        match self.channel.try_recv().ok()? {
            Message::Batch(batch) => Some(self.taken(batch)),
            Message::Wake => Some(Vec::new()),
        }
    }

    fn taken(&self, batch: Vec<Record>) -> Vec<Record> {
        self.shared.queued.fetch_sub(batch.len(), Relaxed);
        batch
    }
}
