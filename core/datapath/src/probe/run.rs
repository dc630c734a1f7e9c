//! Probes some targets at once from the calling thread.

use super::health::Found;
use super::link::Link;
use super::observation::{Finding, Observation, Outcome, Times};
use super::plan::Plan;
use super::resolve::{Answer, Resolver};
use crate::bytes::hash::random_seed;
use crate::http2::hpack::Dictionary;
use crate::snapshot::Address;
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::{Duration, Instant};

const WAKE: Token = Token(usize::MAX);
/// How often the listener is asked whether to stop, where no signal interrupts the wait.
const LONGEST_WAIT_MS: u64 = 500;
/// A watched server that was lost is tried again after a second, then ever later, as gRPC does it, but for operators who look on.
const FIRST_BACKOFF_MS: u64 = 1_000;
const LAST_BACKOFF_MS: u64 = 10_000;

/// Who is told.
pub trait Listener {
    /// Break ends the run.
    fn observe(&mut self, observation: &Observation) -> ControlFlow<()>;
    /// Asked at least twice a second, and when a signal has come.
    fn is_told_to_stop(&mut self) -> bool;
}

enum State {
    Due { at_ms: u64 },
    Resolving,
    Talking(Link),
    Done,
}

struct Attempt {
    plan: Plan,
    state: State,
    /// Told apart from look-ups of former attempts.
    number: u64,
    began_ms: u64,
    /// When the current address, or the answer, is given up.
    deadline_ms: u64,
    addresses: VecDeque<Address>,
    address: Option<Address>,
    connected_ms: Option<u64>,
    answered: bool,
    /// `Watch` is tried, or served.
    watches: bool,
    failures: u32,
    last: Option<Finding>,
}

struct Engine<'a> {
    poll: Poll,
    resolver: Resolver,
    dictionary: Rc<Dictionary>,
    epoch: Instant,
    attempts: Vec<Attempt>,
    listener: &'a mut dyn Listener,
    random: u64,
}

/// Returns when every target that is not watched has been observed once, or the listener wants an end.
///
/// Errors: no descriptors for the poll itself; what a target does is an observation.
pub fn run(plans: Vec<Plan>, listener: &mut dyn Listener) -> io::Result<()> {
    let poll = Poll::new()?;
    let resolver = Resolver::new(Waker::new(poll.registry(), WAKE)?);
    let attempts = plans.into_iter().map(Attempt::new).collect();
    let seed = random_seed();
    let dictionary = Rc::new(Dictionary::new(seed));
    Engine { poll, resolver, dictionary, epoch: Instant::now(), attempts, listener, random: seed | 1 }.run()
}

impl Attempt {
    fn new(plan: Plan) -> Attempt {
        let watches = plan.has_watch();
        Attempt {
            plan,
            state: State::Due { at_ms: 0 },
            number: 0,
            began_ms: 0,
            deadline_ms: 0,
            addresses: VecDeque::new(),
            address: None,
            connected_ms: None,
            answered: false,
            watches,
            failures: 0,
            last: None,
        }
    }

    /// When it has to be looked at, whatever its socket says.
    fn due_ms(&self) -> Option<u64> {
        match self.state {
            State::Due { at_ms } => Some(at_ms),
            State::Talking(_) if self.watches && self.answered => None,
            State::Resolving | State::Talking(_) => Some(self.deadline_ms),
            State::Done => None,
        }
    }
}

impl Engine<'_> {
    fn now_ms(&self) -> u64 {
        self.epoch.elapsed().as_millis() as u64
    }

    fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        loop {
            for index in 0..self.attempts.len() {
                if self.attempts[index].due_ms().is_some_and(|due| due <= self.now_ms()) && self.due(index).is_break() {
                    return Ok(());
                }
            }
            if self.attempts.iter().all(|attempt| matches!(attempt.state, State::Done)) {
                return Ok(());
            }
            let next = self.attempts.iter().filter_map(Attempt::due_ms).min().unwrap_or(u64::MAX);
            let wait = next.saturating_sub(self.now_ms()).min(LONGEST_WAIT_MS);
            match self.poll.poll(&mut events, Some(Duration::from_millis(wait))) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Err(_) => events.clear(),
                Ok(()) => {}
            }
            if self.listener.is_told_to_stop() {
                return Ok(());
            }
            let answers: Vec<_> = self.resolver.take().collect();
            for (index, number, answer) in answers {
                let attempt = &self.attempts[index];
                let is_awaited = attempt.number == number && matches!(attempt.state, State::Resolving);
                if is_awaited && self.resolved(index, answer).is_break() {
                    return Ok(());
                }
            }
            for event in &events {
                if event.token() != WAKE && self.drive(event.token().0).is_break() {
                    return Ok(());
                }
            }
        }
    }

    /// Begins an attempt whose time has come, or ends one whose time is over.
    fn due(&mut self, index: usize) -> ControlFlow<()> {
        let now_ms = self.now_ms();
        let attempt = &mut self.attempts[index];
        let finding = match &attempt.state {
            State::Done => return ControlFlow::Continue(()),
            State::Due { .. } => {
                attempt.number += 1;
                attempt.began_ms = now_ms;
                attempt.deadline_ms = now_ms + attempt.plan.connect_timeout_ms;
                (attempt.address, attempt.connected_ms, attempt.answered) = (None, None, false);
                attempt.state = State::Resolving;
                return match self.resolver.ask(&attempt.plan.host, index, attempt.number) {
                    Some(answer) => self.resolved(index, answer),
                    None => ControlFlow::Continue(()),
                };
            }
            State::Resolving => {
                let limit = Duration::from_millis(attempt.plan.connect_timeout_ms);
                Finding::new(Outcome::ConnectTimeout, format!("the name was not looked up within {limit:?}"))
            }
            State::Talking(link) => link.expired(&attempt.plan),
        };
        self.fail(index, finding)
    }

    fn resolved(&mut self, index: usize, answer: Answer) -> ControlFlow<()> {
        match answer {
            Ok(addresses) => {
                self.attempts[index].addresses = addresses.into();
                self.connect(index)
            }
            Err(finding) => self.finish(index, finding),
        }
    }

    /// Tries the next address, which gets its share of the time that is left.
    fn connect(&mut self, index: usize) -> ControlFlow<()> {
        let now_ms = self.now_ms();
        let attempt = &mut self.attempts[index];
        let Some(address) = attempt.addresses.pop_front() else { return ControlFlow::Continue(()) };
        let left = (attempt.began_ms + attempt.plan.connect_timeout_ms).saturating_sub(now_ms);
        attempt.deadline_ms = now_ms + left / (attempt.addresses.len() as u64 + 1);
        let link = Link::open(&attempt.plan, &address, attempt.watches);
        attempt.address = Some(address);
        let registered = link.and_then(|mut link| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registered = self.poll.registry().register(link.socket(), Token(index), interest);
            registered.map(|()| link).map_err(|error| Finding::new(Outcome::Unreachable, error.to_string()))
        });
        match registered {
            Ok(link) => {
                attempt.state = State::Talking(link);
                self.drive(index)
            }
            Err(finding) => self.fail(index, finding),
        }
    }

    fn drive(&mut self, index: usize) -> ControlFlow<()> {
        let now_ms = self.now_ms();
        let Some(attempt) = self.attempts.get_mut(index) else { return ControlFlow::Continue(()) };
        let State::Talking(link) = &mut attempt.state else { return ControlFlow::Continue(()) };
        let mut found = Vec::new();
        link.drive(&attempt.plan, &self.dictionary, now_ms, &mut found);
        if attempt.connected_ms.is_none() && link.has_asked() {
            attempt.connected_ms = Some(now_ms);
            attempt.deadline_ms = now_ms + attempt.plan.answer_timeout_ms;
        }
        for one in found {
            match one {
                Found::Now(finding) => {
                    self.attempts[index].failures = 0;
                    self.observe(index, finding)?;
                    self.attempts[index].answered = true;
                }
                Found::Alive => {}
                Found::Last(finding) => return self.fail(index, finding),
            }
        }
        ControlFlow::Continue(())
    }

    /// Goes on to the next address where none has been reached yet; else that was the finding.
    fn fail(&mut self, index: usize, finding: Finding) -> ControlFlow<()> {
        let attempt = &self.attempts[index];
        let in_time = self.now_ms() < attempt.began_ms + attempt.plan.connect_timeout_ms;
        if attempt.connected_ms.is_none() && !attempt.addresses.is_empty() && in_time {
            return self.connect(index);
        }
        self.finish(index, finding)
    }

    fn finish(&mut self, index: usize, finding: Finding) -> ControlFlow<()> {
        let now_ms = self.now_ms();
        let attempt = &mut self.attempts[index];
        // Dropping the link closes its socket, which takes it out of the poll.
        attempt.state = State::Done;
        if attempt.watches && finding.outcome == Outcome::Unimplemented {
            // A server without Watch is asked by Check, and only one that lacks that too is without health.
            attempt.watches = false;
            attempt.state = State::Due { at_ms: now_ms };
            return ControlFlow::Continue(());
        }
        if attempt.plan.watch {
            let wait = if attempt.watches { self.backoff(index) } else { self.attempts[index].plan.interval_ms };
            self.attempts[index].state = State::Due { at_ms: now_ms + wait };
        }
        self.observe(index, finding)
    }

    /// Grows by 1.6 and is scattered by a fifth (gRPC's connection back-off).
    fn backoff(&mut self, index: usize) -> u64 {
        self.random = self.random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let scatter = 800 + (self.random >> 33) % 400;
        let attempt = &mut self.attempts[index];
        let grown = (0..attempt.failures.min(8)).fold(FIRST_BACKOFF_MS, |wait, _| wait * 8 / 5);
        attempt.failures += 1;
        grown.min(LAST_BACKOFF_MS) * scatter / 1_000
    }

    /// Tells what was found; of a watched target only what is new.
    fn observe(&mut self, index: usize, finding: Finding) -> ControlFlow<()> {
        let now_ms = self.now_ms();
        let attempt = &mut self.attempts[index];
        if attempt.plan.watch && attempt.last.as_ref() == Some(&finding) {
            return ControlFlow::Continue(());
        }
        attempt.last = attempt.plan.watch.then(|| finding.clone());
        let answered_ms = (finding.is_answer() && !attempt.answered).then_some(now_ms);
        let times = Times { began_ms: attempt.began_ms, connected_ms: attempt.connected_ms, answered_ms };
        let observation = Observation::new(&attempt.plan.name, finding, attempt.address.as_ref(), times);
        self.listener.observe(&observation)
    }
}
