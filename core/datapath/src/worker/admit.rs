//! What a request asks for, and whether it may: normal form, method, route, authentication.
//!
//! One normal form of the path is made first; routing, authentication, transcoding and the backend all see it.

use super::answer::{self, Answer};
use super::exchange::{CLIENT, Phase};
use super::facts::Facts;
use super::memo::Found;
use super::transcoding::Transcoding;
use super::view::View;
use super::{Key, Worker};
use crate::authenticate::cache::Caller;
use crate::authenticate::decide::{CompiledAccess, Decision};
use crate::http2::hpack::HeaderList;
use crate::observe::counters::Counter;
use crate::route::path;
use crate::route::routes::Request;
use crate::route::table::Target;
use crate::snapshot::Snapshot;
use crate::transcode::health;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Answered by us while we drain.
const HEALTH_CHECK: &[u8] = b"/grpc.health.v1.Health/Check";

/// Where an admitted request goes.
pub(super) struct Admitted {
    pub(super) pool: u32,
    pub(super) timeout_ms: u64,
    pub(super) caller: Option<Arc<Caller>>,
    pub(super) transcoding: Option<Box<Transcoding>>,
}

/// Why a request is not forwarded now.
pub(super) enum Stopped {
    Answered(Answer),
    /// Keys are missing that may come.
    Wait {
        provider: usize,
        key_id: Option<String>,
    },
    /// The gateway itself is asked whether it serves, over gRPC, and it does no longer.
    Draining,
}

/// What a request asks for, and what is left of its path if it is to be transcoded: the binding's number, and what its
/// template's variables matched.
struct Resolved {
    found: Found,
    query: Option<Vec<u8>>,
    binding: Option<(usize, Vec<Vec<u8>>)>,
}

impl From<Answer> for Stopped {
    fn from(answer: Answer) -> Stopped {
        Stopped::Answered(answer)
    }
}

impl Worker {
    /// What an earlier request with the same names was found to ask for.
    #[inline]
    pub(super) fn recall(&self, facts: &Facts, list: &HeaderList) -> Option<Found> {
        let draining = self.shared.draining.load(Relaxed);
        if draining { None } else { self.memo.recall(facts, list) }
    }

    /// Decides on a request whose fields are in `list`; `may_wait`: keys that are not there may be asked for. `found` is
    /// what `recall` gave.
    pub(super) fn admit(
        &mut self,
        slot: u32,
        facts: &Facts,
        found: Option<Found>,
        list: &mut HeaderList,
        may_wait: bool,
    ) -> Result<Admitted, Stopped> {
        let snapshot = self.snapshot.clone();
        if let Some(backend) = snapshot.only_backend {
            let path = facts.path.get().map_or(&b""[..], |at| list.value(&self.dictionary, at));
            if self.shared.draining.load(Relaxed) && facts.grpc && path == HEALTH_CHECK {
                return Err(Stopped::Draining);
            }
            self.watch_if_asked(slot, &snapshot, None, Some(0), backend);
            return Ok(self.admitted(&snapshot, backend, None));
        }
        let Resolved { found, query, binding } = match found {
            Some(found) => Resolved { found, query: None, binding: None },
            None => self.resolve(&snapshot, slot, facts, list)?,
        };
        let access = found.method.and_then(|index| snapshot.method_access.get(index as usize));
        let caller = match access.or_else(|| snapshot.route_access.get(found.route? as usize)) {
            Some(access) => self.authenticate(&snapshot, access, facts, list, query.as_deref(), may_wait)?,
            None => None,
        };
        self.exchanges[slot].method = found.method.map_or(0, |index| index + 1);
        if snapshot.limits_rates {
            self.charge(slot, &snapshot, facts, found, caller.as_deref(), list)?;
        }
        self.watch_if_asked(slot, &snapshot, found.method, found.route, found.backend);
        let max_timeout_ms = snapshot.max_timeout_ms(found.route);
        if max_timeout_ms > 0 {
            self.set_deadline(slot, max_timeout_ms);
        }
        let exchange = &mut self.exchanges[slot];
        let timeout_ms = snapshot.timeout_ms(found.method, found.route, binding.is_some());
        let idle_timeout_ms = snapshot.idle_timeout_ms(found.route);
        exchange.idle_timeout_ms = idle_timeout_ms;
        if idle_timeout_ms > 0 {
            exchange.active_ms = self.clock.now_ms;
            self.wheel.arm(&mut exchange.armed, Key::Exchange(slot), self.clock.now_ms + idle_timeout_ms);
        }
        let transcoding =
            binding.map(|(binding, captures)| Box::new(Transcoding::new(snapshot.clone(), binding, captures, query)));
        let mut admitted = self.admitted(&snapshot, found.backend, caller);
        admitted.timeout_ms = timeout_ms;
        admitted.transcoding = transcoding;
        Ok(admitted)
    }

    /// Method, route and backend of a request, whose path is brought into normal form.
    fn resolve(
        &mut self,
        snapshot: &Snapshot,
        slot: u32,
        facts: &Facts,
        list: &mut HeaderList,
    ) -> Result<Resolved, Stopped> {
        self.check_authority(facts, list)?;
        let query = self.normalize(facts, list)?;
        let dictionary = Rc::clone(&self.dictionary);
        let value = |at: Option<usize>| at.map_or(&b""[..], |at| list.value(&dictionary, at));
        let (method, target) = (value(facts.method.get()), value(facts.path.get()));
        let path = &target[..target.len() - query.as_ref().map_or(0, |query| query.len() + 1)];
        if snapshot.healthz_path.as_deref().is_some_and(|healthz| healthz.as_bytes() == path) {
            let draining = self.shared.draining.load(Relaxed);
            return Err(Stopped::Answered(if draining { answer::DRAINING } else { answer::HEALTHY }));
        }
        let mut binding = None;
        let known = match snapshot.table.find(facts.grpc, method, path) {
            Target::Method(index) => Some(index),
            Target::Binding { binding: bound, found } => {
                binding = Some((found.binding, found.captures.iter().map(|value| value.to_vec()).collect()));
                Some(bound.method)
            }
            Target::WrongMethod { template, allowed } => return Err(answer::wrong_method(template, &allowed).into()),
            Target::Unknown if snapshot.rejects_unknown => return Err(answer::NOT_FOUND.into()),
            Target::Unknown => None,
        };
        self.refuse_while_draining(snapshot, known, binding.is_some())?;
        let view = View { dictionary: &dictionary, list, query: query.as_deref() };
        let authority = value(facts.authority.get().or(facts.host.get()));
        let random = (self.random >> 16) as u32;
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if snapshot.table.redirects() {
            let request = Request { authority, path, method: None, headers: &view };
            let connection = self.connections.get(self.exchanges[slot].sides[CLIENT].connection);
            let is_tls = connection.is_some_and(|connection| connection.transport.is_tls());
            if let Some((status, location)) = snapshot.table.redirect(&request, known, query.as_deref(), is_tls) {
                return Err(answer::redirected(status, location).into());
            }
        }
        let choice = snapshot.table.select_route(authority, path, known, &view, random).ok_or(answer::NO_ROUTE)?;
        if known.is_none() && snapshot.table.is_disguised(authority, path, &view, choice.route) {
            return Err(answer::BAD_PATH.into());
        }
        let found = Found { method: known, route: choice.route, backend: choice.backend };
        if known.is_some() && binding.is_none() && query.is_none() && snapshot.table.is_settled(known, choice) {
            self.memo.keep(facts, list, found);
        }
        Ok(Resolved { found, query, binding })
    }

    fn admitted(&self, snapshot: &Snapshot, backend: u32, caller: Option<Arc<Caller>>) -> Admitted {
        let pool = self.pool_of_backend.get(backend as usize).copied().unwrap_or(0);
        Admitted { pool, timeout_ms: snapshot.only_timeout_ms, caller, transcoding: None }
    }

    /// `Host` and `:authority` name the same place, and nobody's password.
    fn check_authority(&self, facts: &Facts, list: &HeaderList) -> Result<(), Answer> {
        let value = |at: Option<usize>| at.map(|at| list.value(&self.dictionary, at));
        let (authority, host) = (value(facts.authority.get()), value(facts.host.get()));
        if let (Some(authority), Some(host)) = (authority, host)
            && !authority.eq_ignore_ascii_case(host)
        {
            return Err(answer::BAD_AUTHORITY);
        }
        match authority.or(host) {
            Some(authority) if !crate::http1::is_valid_authority(authority) => Err(answer::BAD_AUTHORITY),
            _ => Ok(()),
        }
    }

    /// Brings the path in `list` into normal form; returns the query.
    fn normalize(&self, facts: &Facts, list: &mut HeaderList) -> Result<Option<Vec<u8>>, Answer> {
        let value = |at: Option<usize>| at.map(|at| list.value(&self.dictionary, at));
        let method = value(facts.method.get()).unwrap_or_default();
        let Some(at) = facts.path.get() else { return Err(answer::BAD_REQUEST) };
        let target = list.value(&self.dictionary, at);
        if method == b"CONNECT" || (target == b"*" && method != b"OPTIONS") {
            return Err(answer::BAD_REQUEST);
        }
        let normal = path::normalize(target).map_err(|_| answer::BAD_PATH)?;
        let query = normal.query.map(<[u8]>::to_vec);
        if let std::borrow::Cow::Owned(path) = normal.path {
            let mut rewritten = path;
            if let Some(query) = &query {
                rewritten.push(b'?');
                rewritten.extend_from_slice(query);
            }
            list.set_value(&self.dictionary, at, &rewritten);
        }
        Ok(query)
    }

    /// While we drain, health checks are told so, whatever the backend would say.
    fn refuse_while_draining(&self, snapshot: &Snapshot, known: Option<u32>, http: bool) -> Result<(), Stopped> {
        if !self.shared.draining.load(Relaxed) {
            return Ok(());
        }
        let method = known.and_then(|index| snapshot.table.methods().get(index as usize));
        match method.is_some_and(|method| &*method.name == health::CHECK) {
            true if http => Err(Stopped::Answered(answer::NOT_SERVING)),
            true => Err(Stopped::Draining),
            false => Ok(()),
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn authenticate(
        &mut self,
        snapshot: &Snapshot,
        access: &CompiledAccess,
        facts: &Facts,
        list: &mut HeaderList,
        query: Option<&[u8]>,
        may_wait: bool,
    ) -> Result<Option<Arc<Caller>>, Stopped> {
        if access.is_open() {
            return Ok(None);
        }
        let view = View { dictionary: &self.dictionary, list, query };
        let (store, cache, now) = (&snapshot.keys, &mut self.tokens, self.clock.unix);
        let authenticator = &snapshot.authenticator;
        let decision = match may_wait {
            true => authenticator.authenticate(access, &view, store, cache, now),
            false => authenticator.decide_after_wait(access, &view, store, cache, now),
        };
        match decision {
            Decision::Allow { caller } => Ok(caller),
            Decision::Wait { provider, key_id } => Err(Stopped::Wait { provider, key_id }),
            Decision::Deny(status) => {
                let authority = facts.authority.get().or(facts.host.get());
                let authority = authority.map_or(&b""[..], |at| list.value(&self.dictionary, at));
                let scheme = facts.scheme.get().map_or(&b"http"[..], |at| list.value(&self.dictionary, at));
                let target = facts.path.get().map_or(&b"/"[..], |at| list.value(&self.dictionary, at));
                let url = [scheme, b"://", authority, target].concat();
                Err(Stopped::Answered(answer::denied(&status, &String::from_utf8_lossy(&url))))
            }
        }
    }

    /// Keeps a request until its keys arrive, or have been waited for long enough.
    pub(super) fn hold(&mut self, slot: u32, list: &mut HeaderList, provider: usize, key_id: Option<String>) {
        let limits = &self.snapshot;
        let (timeout_ms, most) = (limits.hold_timeout_ms, limits.max_held);
        if self.held.len() >= most {
            self.answer(slot, answer::HOLD_FULL);
            return;
        }
        let keys = &self.snapshot.keys;
        if keys.ask(provider, key_id.as_deref(), self.clock.unix)
            && let Some(id) = keys.provider_id(provider)
        {
            self.shared.tell_keys_wanted(id, key_id.as_deref());
        }
        self.keep_head(slot, list);
        let now_ms = self.clock.now_ms;
        let exchange = &mut self.exchanges[slot];
        exchange.phase = Phase::Held;
        exchange.held_until_ms = now_ms + timeout_ms;
        let generation = exchange.generation;
        self.wheel.arm(&mut exchange.armed, Key::Exchange(slot), now_ms + timeout_ms);
        self.held.push((slot, generation));
        self.count(Counter::Held);
    }

    /// Keys have changed, or a fetch has failed: everyone who waits is looked at again.
    pub(super) fn keys_changed(&mut self) {
        for (slot, generation) in std::mem::take(&mut self.held) {
            let held = self.exchanges.current(slot, generation).is_some_and(|exchange| exchange.phase == Phase::Held);
            if held {
                self.readmit(slot, true);
            }
        }
    }

    /// Takes a request up again that was held.
    pub(super) fn readmit(&mut self, slot: u32, may_wait: bool) {
        let Some(mut head) = self.exchanges[slot].head.take() else { return };
        let mut list = std::mem::take(&mut head.list);
        let mut body = std::mem::take(&mut head.body);
        self.reuse_head(head);
        let Some(facts) = Facts::read(&self.dictionary, &list) else { return };
        let connection = self.exchanges[slot].sides[CLIENT].connection;
        self.proceed(connection, slot, &facts, None, &mut list, may_wait);
        if let Some(exchange) = self.exchanges.current_live(slot)
            && let Some(head) = &mut exchange.head
            && exchange.transcoding.is_none()
            && head.body.is_empty()
        {
            std::mem::swap(&mut head.body, &mut body);
        }
    }
}
