//! The composition root: threads, mailboxes, and the snapshot that is in force.

use crate::access_log::{Formatter, LogWriter, Target};
use crate::authenticate::keys::KeySet;
use crate::authenticate::store::KeyStore;
use crate::balance::spread::Health;
use crate::listen::{Acceptor, Bound};
use crate::observe::report::report;
use crate::shared::{Events, Mailbox, Message, Shared, lock};
use crate::snapshot::document::{self, Document};
use crate::snapshot::{self, Address, Snapshot, compile_endpoints};
use crate::worker::{WAKE, Worker};
use mio::{Poll, Waker};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Why a snapshot was not adopted; the former one goes on serving.
#[derive(Debug)]
pub enum ApplyError {
    /// `path: message` for each fault.
    Document(Vec<String>),
    Bind {
        address: String,
        error: io::Error,
    },
    Log {
        path: String,
        error: io::Error,
    },
}

/// How long a worker may take to say how it is.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

/// An endpoint as discovery reports it: (address, weight, priority, distance).
pub type Reported = (String, u32, u32, u32);

struct Listening {
    id: u32,
    name: String,
    configured: String,
    address: String,
}

struct State {
    snapshot: Arc<Snapshot>,
    listeners: Vec<Listening>,
    next_listener: u32,
}

pub struct Gateway {
    shared: Arc<Shared>,
    mailboxes: Vec<Arc<Mailbox>>,
    threads: Mutex<Vec<std::thread::JoinHandle<()>>>,
    acceptor: Mutex<Option<Acceptor>>,
    state: Mutex<State>,
    log: Mutex<Option<(document::AccessLog, LogWriter)>>,
}

impl Gateway {
    /// Starts the workers; they serve nothing until a snapshot is applied.
    pub fn start(workers: usize) -> io::Result<Gateway> {
        let shared = Arc::new(Shared::default());
        let empty = Document::empty();
        let snapshot = Arc::new(Snapshot::compile(empty, None).map_err(|faults| io::Error::other(faults.join("; ")))?);
        let (mut mailboxes, mut threads) = (Vec::new(), Vec::new());
        for number in 0..workers.max(1) {
            let poll = Poll::new()?;
            let mailbox = Arc::new(Mailbox::new(Waker::new(poll.registry(), WAKE)?));
            mailboxes.push(mailbox.clone());
            let (shared, snapshot) = (shared.clone(), snapshot.clone());
            let thread = std::thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
                let mut worker = Worker::new(poll, shared, mailbox, snapshot);
                while catch_unwind(AssertUnwindSafe(|| worker.run())).is_err() {
                    worker = worker.restarted();
                }
            })?;
            threads.push(thread);
        }
        let acceptor = Acceptor::start(mailboxes.clone())?;
        Ok(Gateway {
            shared,
            mailboxes,
            threads: Mutex::new(threads),
            acceptor: Mutex::new(Some(acceptor)),
            state: Mutex::new(State { snapshot, listeners: Vec::new(), next_listener: 0 }),
            log: Mutex::new(None),
        })
    }

    /// Swaps to the snapshot of a document (JSON). Either all of it is in force afterwards, or nothing has changed.
    pub fn apply(&self, document: &[u8]) -> Result<(), ApplyError> {
        let document = Document::read(document).map_err(ApplyError::Document)?;
        let mut state = lock(&self.state);
        let snapshot = Snapshot::compile(document, Some(&state.snapshot)).map_err(ApplyError::Document)?;
        let snapshot = Arc::new(snapshot);
        let fresh = bind_new(&state.listeners, &snapshot)?;
        self.open_log(&snapshot)?;
        for mailbox in &self.mailboxes {
            mailbox.send(Message::Adopt(snapshot.clone()));
        }
        let acceptor = lock(&self.acceptor);
        let Some(acceptor) = acceptor.as_ref() else { return Ok(()) };
        state.listeners.retain(|listening| {
            let kept = snapshot.listeners.iter().any(|l| l.name == listening.name && l.address == listening.configured);
            if !kept {
                acceptor.remove(listening.id);
            }
            kept
        });
        for (name, configured, bound) in fresh {
            let snapshot_name = name.clone();
            let id = state.next_listener;
            state.next_listener += 1;
            state.listeners.push(Listening { id, name, configured, address: bound.address() });
            acceptor.add(id, &snapshot_name, bound);
        }
        state.snapshot = snapshot;
        Ok(())
    }

    /// Starts writing the access log where the snapshot says, if that has changed.
    fn open_log(&self, snapshot: &Snapshot) -> Result<(), ApplyError> {
        let wanted = &snapshot.access_log;
        let mut log = lock(&self.log);
        let current = log.as_ref().map(|(settings, _)| settings);
        if current == Some(wanted) || (current.is_none() && wanted.path.is_empty()) {
            return Ok(());
        }
        let mut writer = None;
        if !wanted.path.is_empty() {
            let formatter = Formatter::new(&wanted.labels, &snapshot.secret_parameters);
            let started = LogWriter::start(Target::from_path(&wanted.path), formatter);
            writer = Some(started.map_err(|error| ApplyError::Log { path: wanted.path.clone(), error })?);
        }
        for mailbox in &self.mailboxes {
            mailbox.send(Message::Log(writer.as_ref().map(|writer| (writer.sender(), wanted.success_rate))));
        }
        let former = std::mem::replace(&mut *log, writer.map(|writer| (wanted.clone(), writer)));
        if let Some((_, former)) = former {
            former.stop();
        }
        Ok(())
    }

    /// Counters and histograms as JSON: see [`report`].
    pub fn stats(&self) -> serde_json::Value {
        let snapshot = lock(&self.state).snapshot.clone();
        report(&self.shared, &snapshot.rate_limits, &self.mailboxes)
    }

    /// Calls of a backend that have ended since the start.
    pub fn ended_calls(&self, backend: &str) -> u64 {
        self.mailboxes.iter().map(|mailbox| mailbox.stats.ended_calls(backend)).sum()
    }

    /// Listeners and each worker's backends, as they are now.
    pub fn status(&self) -> serde_json::Value {
        let answers: Vec<_> = self
            .mailboxes
            .iter()
            .map(|mailbox| {
                let (sender, receiver) = sync_channel(1);
                mailbox.send(Message::Backends { sender });
                (mailbox, receiver)
            })
            .collect();
        let workers: Vec<serde_json::Value> = answers
            .iter()
            .map(|(mailbox, receiver)| {
                serde_json::json!({
                    "connections": mailbox.clients.load(Relaxed),
                    "streams": mailbox.streams.load(Relaxed),
                    "backends": receiver.recv_timeout(ASK_TIMEOUT).unwrap_or_default(),
                })
            })
            .collect();
        let state = lock(&self.state);
        let listeners: Vec<serde_json::Value> =
            state.listeners.iter().map(|l| serde_json::json!({"name": l.name, "address": l.address})).collect();
        serde_json::json!({"snapshot": state.snapshot.version, "listeners": listeners, "workers": workers})
    }

    /// The open client connections, at most `most` of each worker.
    pub fn clients(&self, most: usize) -> serde_json::Value {
        let answers: Vec<_> = self
            .mailboxes
            .iter()
            .map(|mailbox| {
                let (sender, receiver) = sync_channel(1);
                mailbox.send(Message::Clients { most, sender });
                receiver
            })
            .collect();
        let mut clients = Vec::new();
        for (worker, receiver) in answers.iter().enumerate() {
            for mut client in receiver.recv_timeout(ASK_TIMEOUT).unwrap_or_default() {
                client["worker"] = worker.into();
                clients.push(client);
            }
        }
        clients.into()
    }

    /// (name, bound address) of each listener.
    pub fn listeners(&self) -> Vec<(String, String)> {
        lock(&self.state).listeners.iter().map(|l| (l.name.clone(), l.address.clone())).collect()
    }

    /// Replaces a backend's endpoints. False: there is no such backend. Faults are `path: message`.
    pub fn set_endpoints(&self, backend: &str, endpoints: &[Reported]) -> Result<bool, Vec<String>> {
        let endpoints = parse_endpoints(backend, endpoints)?;
        Ok(self.tell_of(backend, || Message::Endpoints { backend: backend.to_owned(), endpoints: endpoints.clone() }))
    }

    /// As `set_endpoints`, for what has changed alone.
    pub fn change_endpoints(
        &self,
        backend: &str,
        changed: &[Reported],
        removed: &[String],
    ) -> Result<bool, Vec<String>> {
        let changed = parse_endpoints(backend, changed)?;
        let removed = removed.iter().map(|address| Address::parse(address)).collect::<Result<Vec<_>, _>>();
        let removed = removed.map_err(|fault| vec![format!("{backend}: {fault}")])?;
        Ok(self.tell_of(backend, || Message::EndpointChanges {
            backend: backend.to_owned(),
            changed: changed.clone(),
            removed: removed.clone(),
        }))
    }

    /// Sends every worker what concerns a backend. False: there is no such backend.
    fn tell_of(&self, backend: &str, message: impl Fn() -> Message) -> bool {
        let known = lock(&self.state).snapshot.backends.iter().any(|known| known.name == backend);
        if known {
            for mailbox in &self.mailboxes {
                mailbox.send(message());
            }
        }
        known
    }

    /// Says what is known of endpoints of a backend; others stay as they are. False: there is no such backend.
    pub fn set_health(&self, backend: &str, states: &[(String, Health)]) -> Result<bool, String> {
        let parsed = states.iter().map(|(address, health)| Ok((Address::parse(address)?, *health)));
        let states = parsed.collect::<Result<Vec<_>, String>>()?;
        Ok(self.tell_of(backend, || Message::Health { backend: backend.to_owned(), states: states.clone() }))
    }

    /// How the calls to each endpoint of a backend ended so far: (address, answered, erred, failed). `None`: there is no
    /// such backend.
    pub fn tallies(&self, backend: &str) -> Option<Vec<(String, u64, u64, u64)>> {
        if !lock(&self.state).snapshot.backends.iter().any(|known| known.name == backend) {
            return None;
        }
        let tallies = self.shared.tallies().totals(backend).into_iter();
        Some(tallies.map(|(address, of)| (address.to_string(), of.answered, of.erred, of.failed)).collect())
    }

    /// Replaces a provider's keys; `None`: there is no such provider. Returns how many keys can be used.
    pub fn set_keys(&self, provider: &str, document: &str) -> Option<Result<usize, String>> {
        let snapshot = lock(&self.state).snapshot.clone();
        let index = snapshot.keys.index_of(provider)?;
        Some(KeySet::parse(document).map_err(|error| error.to_string()).map(|keys| {
            let usable = keys.len();
            snapshot.keys.set(index, keys, unix_now());
            self.tell_keys_changed();
            usable
        }))
    }

    /// A fetch failed: requests that waited are decided with the keys at hand. False: no such provider.
    pub fn fail_keys(&self, provider: &str) -> bool {
        self.change_keys(provider, |keys, index| keys.fail(index))
    }

    /// Forgets a provider's keys.
    pub fn drop_keys(&self, provider: &str) -> bool {
        self.change_keys(provider, |keys, index| keys.drop_keys(index))
    }

    fn change_keys(&self, provider: &str, change: impl FnOnce(&KeyStore, usize)) -> bool {
        let snapshot = lock(&self.state).snapshot.clone();
        let Some(index) = snapshot.keys.index_of(provider) else { return false };
        change(&snapshot.keys, index);
        self.tell_keys_changed();
        true
    }

    fn tell_keys_changed(&self) {
        for mailbox in &self.mailboxes {
            mailbox.send(Message::KeysChanged);
        }
    }

    pub fn events(&self) -> &Events {
        self.shared.events()
    }

    pub fn announce_drain(&self) {
        self.shared.draining.store(true, Relaxed);
    }

    /// Asks every client to go; accepts nothing new a second later.
    pub fn close_connections(&self) {
        if let Some(acceptor) = lock(&self.acceptor).as_ref() {
            acceptor.close_all(Duration::from_secs(1));
        }
        for mailbox in &self.mailboxes {
            mailbox.send(Message::CloseConnections);
        }
    }

    pub fn active_streams(&self) -> usize {
        self.mailboxes.iter().map(|mailbox| mailbox.streams.load(Relaxed)).sum()
    }

    pub fn active_connections(&self) -> usize {
        self.mailboxes.iter().map(|mailbox| mailbox.clients.load(Relaxed)).sum()
    }

    /// How long each worker's loop takes to answer; `None`: not within `timeout`.
    pub fn beat(&self, timeout: Duration) -> Vec<Option<Duration>> {
        let start = Instant::now();
        let answers: Vec<_> = self
            .mailboxes
            .iter()
            .map(|mailbox| {
                let (sender, receiver) = sync_channel(1);
                mailbox.send(Message::Beat(sender));
                receiver
            })
            .collect();
        answers
            .iter()
            .map(|receiver| {
                let left = timeout.saturating_sub(start.elapsed());
                receiver.recv_timeout(left).ok().map(|()| start.elapsed())
            })
            .collect()
    }

    /// Ends all threads.
    pub fn stop(&self) {
        lock(&self.acceptor).take();
        for mailbox in &self.mailboxes {
            mailbox.send(Message::Stop);
        }
        if let Some((_, writer)) = lock(&self.log).take() {
            writer.stop();
        }
        for thread in std::mem::take(&mut *lock(&self.threads)) {
            let _ = thread.join();
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop();
    }
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Binds what is not bound yet, all or nothing: sockets bound before a failure are dropped again.
fn bind_new(existing: &[Listening], snapshot: &Snapshot) -> Result<Vec<(String, String, Bound)>, ApplyError> {
    let mut fresh = Vec::new();
    for listener in &snapshot.listeners {
        if existing.iter().any(|l| l.name == listener.name && l.configured == listener.address) {
            continue;
        }
        let address = Address::parse(&listener.address).map_err(|fault| ApplyError::Document(vec![fault]))?;
        let bound =
            Bound::bind(&address).map_err(|error| ApplyError::Bind { address: listener.address.clone(), error })?;
        fresh.push((listener.name.clone(), listener.address.clone(), bound));
    }
    Ok(fresh)
}

fn parse_endpoints(backend: &str, endpoints: &[Reported]) -> Result<Vec<snapshot::Endpoint>, Vec<String>> {
    let named: Vec<document::Endpoint> = endpoints
        .iter()
        .map(|&(ref address, weight, priority, distance)| document::Endpoint {
            address: address.clone(),
            weight,
            priority,
            distance,
        })
        .collect();
    let mut faults = Vec::new();
    let endpoints = compile_endpoints(&named, backend, &mut faults);
    if faults.is_empty() { Ok(endpoints) } else { Err(faults) }
}
