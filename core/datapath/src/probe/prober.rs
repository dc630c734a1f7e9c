//! Probes thousands of servers again and again from one thread.
//!
//! A server keeps its connection between two Checks, and one that has `Watch` is only listened to, so a round costs little.
//! Rounds are spread over the interval and scattered, or all servers of one kind would be asked by everybody at once.
//!
//! A server that is watched is asked by Check all the same, though seldom: its kernel goes on answering for a process that
//! hangs. HTTP/2's PING would cost less, but gRPC servers end the connection of whoever sends one more often than every five
//! minutes (GOAWAY with `too_many_pings`; gRFC A8). A Check that is answered in any way will do; what `Watch` says counts.
//!
//! Servers of a plan that is quiet (nobody calls them) rest longer between two rounds while they pass.
//!
//! What is told upwards is little too: a finding that differs from the last one, and that a server has been found healthy, or
//! not, so often in a row that a threshold is reached. The thread decides nothing beyond that.

pub use super::events::Event;
use super::events::Events;
use super::health::Found;
use super::link::Link;
use super::observation::{Finding, Observation, Outcome, Times};
use super::plan::{Host, Plan, Shared};
pub use super::server::Thresholds;
use super::server::{ALIVE_ROUNDS, Phase, Server, passes};
use crate::bytes::hash::random_seed;
use crate::bytes::wheel::{Armed, Wheel};
use crate::http2::hpack::Dictionary;
use crate::shared::lock;
use crate::snapshot::Address;
use mio::{Interest, Poll, Token, Waker};
use std::collections::HashMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const WAKE: Token = Token(usize::MAX);
/// First rounds are spread over no more than this, since whoever starts waits for them; and few servers over less.
const FIRST_ROUND_MS: u64 = 1_000;
const FIRST_ROUNDS_PER_MS: u64 = 10;
/// A `Watch` that has ended is begun anew so soon, once; what fails then waits for its interval.
const FIRST_BACKOFF_MS: u64 = 100;

enum Order {
    Set {
        id: u64,
        plan: Box<Plan>,
        address: Address,
        thresholds: Thresholds,
    },
    Remove {
        id: u64,
    },
    /// The servers of this plan rest no longer than their interval from now on.
    Hasten {
        shared: Arc<Shared>,
    },
}

#[derive(Default)]
struct Mailbox {
    orders: Mutex<Vec<Order>>,
    events: Mutex<Events>,
    stop: AtomicBool,
}

/// The thread ends when this is dropped.
pub struct Prober {
    mailbox: Arc<Mailbox>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Prober {
    /// `on_event` is called from the thread when `take` has something new.
    pub fn start(on_event: Box<dyn Fn() + Send>) -> io::Result<Prober> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKE)?;
        let mailbox = Arc::new(Mailbox::default());
        let shared = mailbox.clone();
        let run = move || Loop::new(poll, shared, on_event).run();
        let thread = std::thread::Builder::new().name("prober".into()).spawn(run)?;
        Ok(Prober { mailbox, waker, thread: Some(thread) })
    }

    /// Begins to probe a server, each `interval_ms` of its plan, or changes how. `plan.watch`: by `Watch` where that is served.
    ///
    /// Errors: a host that would have to be looked up, which whoever discovers servers does.
    pub fn set(&self, id: u64, plan: Plan, thresholds: Thresholds) -> Result<(), String> {
        let address = match &plan.host {
            Host::Address(address) => Address::Tcp(*address),
            Host::Unix(path) => Address::Unix(path.clone()),
            Host::Name(name, _) => return Err(format!("{name} is a name, not an address")),
        };
        self.order(Order::Set { id, plan: Box::new(plan), address, thresholds });
        Ok(())
    }

    /// Nothing of it is told any more.
    pub fn remove(&self, id: u64) {
        self.order(Order::Remove { id });
    }

    /// Says whether there are no calls for the servers whose plans were made of `plan` by `at`.
    pub fn set_quiet(&self, plan: &Plan, quiet: bool) {
        if plan.shared.quiet.swap(quiet, Relaxed) && !quiet {
            self.order(Order::Hasten { shared: plan.shared.clone() });
        }
    }

    /// What has been found since, the oldest first.
    pub fn take(&self) -> Vec<Event> {
        lock(&self.mailbox.events).take()
    }

    fn order(&self, order: Order) {
        lock(&self.mailbox.orders).push(order);
        let _ = self.waker.wake();
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.mailbox.stop.store(true, Relaxed);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Loop {
    poll: Poll,
    mailbox: Arc<Mailbox>,
    on_event: Box<dyn Fn() + Send>,
    dictionary: Rc<Dictionary>,
    epoch: Instant,
    wheel: Wheel<usize>,
    servers: Vec<Option<Server>>,
    free: Vec<usize>,
    slots: HashMap<u64, usize>,
    told: Vec<Event>,
    random: u64,
}

impl Loop {
    fn new(poll: Poll, mailbox: Arc<Mailbox>, on_event: Box<dyn Fn() + Send>) -> Loop {
        let seed = random_seed();
        Loop {
            poll,
            mailbox,
            on_event,
            dictionary: Rc::new(Dictionary::new(seed)),
            epoch: Instant::now(),
            wheel: Wheel::new(0),
            servers: Vec::new(),
            free: Vec::new(),
            slots: HashMap::new(),
            told: Vec::new(),
            random: seed | 1,
        }
    }

    fn now_ms(&self) -> u64 {
        self.epoch.elapsed().as_millis() as u64
    }

    /// A mistake of ours costs a round, and no server its probes.
    fn run(mut self) {
        while catch_unwind(AssertUnwindSafe(|| self.turns())).is_err() {
            self.begin_anew();
        }
    }

    /// Every server is asked again within an interval; what has been found of it counts.
    fn begin_anew(&mut self) {
        let now_ms = self.now_ms();
        self.wheel = Wheel::new(now_ms);
        for slot in 0..self.servers.len() {
            let random = self.next_random();
            let Some(server) = self.servers[slot].as_mut() else { continue };
            server.link = None;
            server.reused = false;
            server.phase = Phase::Resting;
            server.round_ms = now_ms + random % server.plan.interval_ms;
            server.due_ms = server.round_ms;
            server.armed = Armed::default();
            self.wheel.arm(&mut server.armed, slot, server.due_ms);
        }
    }

    /// Runs until told to stop.
    fn turns(&mut self) {
        let mut events = mio::Events::with_capacity(1024);
        let mut due = Vec::new();
        while !self.mailbox.stop.load(Relaxed) {
            let timeout = self.wheel.next_ms(self.now_ms()).map(Duration::from_millis);
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return,
                Err(_) => events.clear(),
                Ok(()) => {}
            }
            self.take_orders();
            let now_ms = self.now_ms();
            for event in &events {
                if event.token() != WAKE {
                    self.drive(event.token().0, now_ms);
                }
            }
            self.wheel.advance(now_ms, &mut due);
            for (slot, tick) in due.drain(..) {
                self.wake(slot, tick, now_ms);
            }
            if !self.told.is_empty() {
                lock(&self.mailbox.events).append(&mut self.told);
                (self.on_event)();
            }
        }
    }

    fn take_orders(&mut self) {
        let orders = std::mem::take(&mut *lock(&self.mailbox.orders));
        for order in orders {
            match order {
                Order::Set { id, plan, address, thresholds } => self.set(id, *plan, address, thresholds),
                Order::Remove { id } => {
                    if let Some(slot) = self.slots.remove(&id) {
                        self.servers[slot] = None;
                        self.free.push(slot);
                    }
                }
                Order::Hasten { shared } => self.hasten(&shared),
            }
        }
    }

    fn set(&mut self, id: u64, plan: Plan, address: Address, thresholds: Thresholds) {
        let now_ms = self.now_ms();
        let spread_ms = (1 + self.slots.len() as u64 / FIRST_ROUNDS_PER_MS).min(FIRST_ROUND_MS);
        let due_ms = now_ms + self.next_random() % plan.interval_ms.min(spread_ms);
        let slot = *self.slots.entry(id).or_insert_with(|| {
            self.free.pop().unwrap_or_else(|| {
                self.servers.push(None);
                self.servers.len() - 1
            })
        });
        let server = self.servers[slot].insert(Server {
            id,
            watches: plan.has_watch(),
            plan,
            address,
            thresholds,
            link: None,
            reused: false,
            phase: Phase::Resting,
            round_ms: due_ms,
            times: Times::default(),
            due_ms,
            armed: Armed::default(),
            last: None,
            streak: 0,
        });
        self.wheel.arm(&mut server.armed, slot, due_ms);
    }

    fn hasten(&mut self, shared: &Arc<Shared>) {
        let now_ms = self.now_ms();
        for slot in 0..self.servers.len() {
            let random = self.next_random();
            let Some(server) = self.servers[slot].as_mut() else { continue };
            let interval_ms = match server.phase {
                Phase::Resting => server.plan.interval_ms,
                Phase::Watching => server.plan.interval_ms.saturating_mul(ALIVE_ROUNDS),
                Phase::Asking | Phase::Reassuring => continue,
            };
            if Arc::ptr_eq(&server.plan.shared, shared) && server.due_ms > now_ms + interval_ms {
                server.due_ms = now_ms + random % interval_ms;
                server.round_ms = server.due_ms;
                self.wheel.arm(&mut server.armed, slot, server.due_ms);
            }
        }
    }

    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        self.random >> 33
    }

    /// A server's entry in the wheel has come up.
    fn wake(&mut self, slot: usize, tick: u64, now_ms: u64) {
        let Some(server) = self.servers.get_mut(slot).and_then(Option::as_mut) else { return };
        if !server.armed.take(tick) {
            return;
        }
        if server.due_ms > now_ms {
            self.wheel.arm(&mut server.armed, slot, server.due_ms);
            return;
        }
        match server.phase {
            Phase::Asking | Phase::Reassuring => {
                let finding = match &server.link {
                    Some(link) => link.expired(&server.plan),
                    None => Finding::new(Outcome::ConnectTimeout, "no connection"),
                };
                return self.conclude(slot, finding, now_ms);
            }
            Phase::Watching => return self.reassure(slot, now_ms),
            Phase::Resting => {}
        }
        server.times = Times { began_ms: now_ms, ..Times::default() };
        server.phase = Phase::Asking;
        server.reused = server.link.as_mut().is_some_and(|link| link.ask_again(&server.plan));
        if server.reused {
            self.drive(slot, now_ms);
        } else {
            self.connect(slot, now_ms);
        }
    }

    /// Asks a watched server by Check whether it is alive.
    fn reassure(&mut self, slot: usize, now_ms: u64) {
        let Some(server) = self.servers.get_mut(slot).and_then(Option::as_mut) else { return };
        if server.link.as_mut().is_some_and(|link| link.ask_beside(&server.plan)) {
            server.phase = Phase::Reassuring;
            self.rearm(slot, |server| now_ms + server.plan.answer_timeout_ms);
            self.drive(slot, now_ms);
        } else {
            // A server that is leaving takes no call here, and one that allows one call has it: another connection tells.
            server.times = Times { began_ms: now_ms, ..Times::default() };
            server.phase = Phase::Asking;
            self.connect(slot, now_ms);
        }
    }

    fn connect(&mut self, slot: usize, now_ms: u64) {
        let Some(server) = self.servers.get_mut(slot).and_then(Option::as_mut) else { return };
        server.reused = false;
        // The old one's descriptor is closed, and so out of the poll, before the new one is opened.
        server.link = None;
        self.rearm(slot, |server| now_ms + server.plan.connect_timeout_ms);
        let Some(server) = self.servers.get_mut(slot).and_then(Option::as_mut) else { return };
        let opened = Link::open(&server.plan, &server.address, server.watches).and_then(|mut link| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registered = self.poll.registry().register(link.socket(), Token(slot), interest);
            registered.map(|()| link).map_err(|error| Finding::new(Outcome::Unreachable, error.to_string()))
        });
        match opened {
            Ok(link) => {
                server.link = Some(link);
                self.drive(slot, now_ms);
            }
            Err(finding) => self.conclude(slot, finding, now_ms),
        }
    }

    fn rearm(&mut self, slot: usize, due_ms: impl FnOnce(&Server) -> u64) {
        if let Some(server) = self.servers.get_mut(slot).and_then(Option::as_mut) {
            server.due_ms = due_ms(server);
            self.wheel.arm(&mut server.armed, slot, server.due_ms);
        }
    }

    fn drive(&mut self, slot: usize, now_ms: u64) {
        let Some(server) = self.servers.get_mut(slot).and_then(Option::as_mut) else { return };
        let Some(link) = &mut server.link else { return };
        let mut found = Vec::new();
        link.drive(&server.plan, &self.dictionary, now_ms, &mut found);
        if server.phase == Phase::Asking && server.times.connected_ms.is_none() && link.has_asked() {
            server.times.connected_ms = Some(now_ms);
            self.rearm(slot, |server| now_ms + server.plan.answer_timeout_ms);
        }
        for one in found {
            let Some(server) = self.servers.get_mut(slot).and_then(Option::as_mut) else { return };
            match one {
                Found::Now(finding) => {
                    let is_first = server.phase == Phase::Asking;
                    server.times.answered_ms = is_first.then_some(now_ms);
                    self.tell(slot, finding, true);
                    if is_first {
                        self.watch_on(slot, now_ms);
                    }
                }
                Found::Alive => self.watch_on(slot, now_ms),
                // An idle connection that ends is no finding: the next round makes another.
                Found::Last(_) if server.phase == Phase::Resting => server.link = None,
                Found::Last(finding) if server.reused && finding.outcome == Outcome::Closed => {
                    server.times.connected_ms = None;
                    self.connect(slot, now_ms);
                }
                Found::Last(finding) => self.conclude(slot, finding, now_ms),
            }
        }
    }

    /// Listens until it is time to ask whether the server is alive.
    fn watch_on(&mut self, slot: usize, now_ms: u64) {
        let random = self.next_random();
        let Some(server) = self.servers.get_mut(slot).and_then(Option::as_mut) else { return };
        server.phase = Phase::Watching;
        let interval_ms = server.alive_interval_ms();
        self.rearm(slot, |server| server.varied(now_ms + interval_ms, interval_ms, random));
    }

    /// The end of a round.
    fn conclude(&mut self, slot: usize, finding: Finding, now_ms: u64) {
        let scatter = self.next_random();
        let Some(server) = self.servers.get_mut(slot).and_then(Option::as_mut) else { return };
        server.times.answered_ms = finding.is_answer().then_some(now_ms);
        if server.watches || finding.grpc_status.is_none() {
            server.link = None;
        }
        let was_watching = std::mem::replace(&mut server.phase, Phase::Resting).is_watching();
        if server.watches && finding.outcome == Outcome::Unimplemented {
            // Without Watch it is asked by Check, and only one that lacks that too is without health.
            server.watches = false;
            return self.rearm(slot, |_| now_ms);
        }
        if !finding.is_answer() {
            // What answers next may be another server, and have Watch.
            server.watches = server.plan.has_watch();
        }
        self.tell(slot, finding, false);
        let Some(server) = self.servers.get_mut(slot).and_then(Option::as_mut) else { return };
        let interval = server.interval_ms();
        // Rounds keep their beat, however long the answers take; one that took longer is followed by the next at once.
        server.round_ms = (server.round_ms + interval).max(now_ms);
        let mut due_ms = server.varied(server.round_ms, interval, scatter);
        if was_watching {
            due_ms = now_ms + FIRST_BACKOFF_MS.min(interval) + scatter % FIRST_BACKOFF_MS;
            server.round_ms = due_ms;
        }
        self.rearm(slot, |_| due_ms);
    }

    /// Puts an event down if it is news, or if the threshold is reached.
    fn tell(&mut self, slot: usize, finding: Finding, watched: bool) {
        let Some(server) = self.servers.get_mut(slot).and_then(Option::as_mut) else { return };
        server.plan.shared.counts[finding.outcome as usize].fetch_add(1, Relaxed);
        let is_new = server.last.as_ref() != Some(&finding);
        let healthy = passes(&finding);
        let was_healthy = server.last.as_ref().map(passes);
        server.streak = if was_healthy == Some(healthy) { server.streak.saturating_add(1) } else { 1 };
        let threshold = if healthy { server.thresholds.healthy } else { server.thresholds.unhealthy };
        if is_new || server.streak == threshold {
            let observation = Observation::new(&server.plan.name, finding.clone(), Some(&server.address), server.times);
            self.told.push(Event { id: server.id, observation, streak: server.streak, watched });
        }
        if is_new {
            server.last = Some(finding);
        }
    }
}
