//! A worker's beginning, the snapshots it adopts, and the connections it is given.

use super::connection::{Connection, Protocol, Side, Stage};
use super::memo::Memo;
use super::record::SeriesIndex;
use super::transport::configure;
use super::{Clock, Connections, Exchanges, OwnFields, READ_BUFFER, Worker};
use crate::authenticate::cache::TokenCache;
use crate::balance::spread::Health;
use crate::bytes::hash::random_seed;
use crate::bytes::wheel::Wheel;
use crate::http2::hpack::{Dictionary, HeaderList, Limits};
use crate::http2::{self, Role};
use crate::observe::counters::Counter;
use crate::shared::{Mailbox, Shared};
use crate::snapshot::{Address, Endpoint, Snapshot};
use crate::tls::{Socket, Transport, forwarded_client_cert};
use crate::upstream::Pool;
use mio::{Interest, Poll, Token};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// Who connects while everybody is asked to go is asked after this, when nobody is let in any more: asked at once it would
/// only come back.
const LATE_CLIENT_MS: u64 = 1_000;

/// The snapshot that a worker serves, counted without other workers having to know.
pub(crate) struct Adopted(Arc<Snapshot>);

impl std::ops::Deref for Adopted {
    type Target = Snapshot;
    #[inline(always)]
    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

impl OwnFields {
    fn new(dictionary: &Dictionary) -> Self {
        OwnFields {
            server: dictionary.field(b"server", b"tidegate"),
            date: dictionary.field(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT"),
            date_unix: 0,
            http: dictionary.field(b"x-forwarded-proto", b"http"),
            https: dictionary.field(b"x-forwarded-proto", b"https"),
            request_id: dictionary.field(b"x-request-id", b""),
            userinfo: dictionary.field(b"x-endpoint-api-userinfo", b""),
            grpc: dictionary.field(b"content-type", b"application/grpc"),
            json: dictionary.field(b"content-type", b"application/json"),
            ok: dictionary.field(b":status", b"200"),
        }
    }
}

impl Worker {
    pub fn new(poll: Poll, shared: Arc<Shared>, mailbox: Arc<Mailbox>, snapshot: Arc<Snapshot>) -> Self {
        let clock = Clock::new();
        let dictionary = Dictionary::new(random_seed());
        let mut worker = Worker {
            poll,
            own: OwnFields::new(&dictionary),
            dictionary: Rc::new(dictionary),
            random: random_seed(),
            shared,
            mailbox,
            snapshot: Rc::new(Adopted(snapshot.clone())),
            pool_of_backend: Vec::new(),
            memo: Memo::new(),
            tokens: TokenCache::new(0),
            held: Vec::new(),
            connections: Connections::default(),
            exchanges: Exchanges::default(),
            pools: Vec::new(),
            dirty: Vec::new(),
            again: Vec::new(),
            list: HeaderList::default(),
            spare_heads: Vec::new(),
            spare_tries: Vec::new(),
            buffer: vec![0; READ_BUFFER],
            wheel: Wheel::new(clock.now_ms),
            due: Vec::new(),
            clock,
            series: Vec::new(),
            series_index: SeriesIndex::default(),
            reporting: Vec::new(),
            log: None,
            closing: false,
            stopping: false,
        };
        worker.adopt(snapshot);
        worker
    }

    /// A worker in the place of one that failed by a mistake of ours: its connections are lost, everything else goes on.
    pub fn restarted(self) -> Self {
        let lost = self.connections.keys().into_iter().filter(|&slot| !self.is_upstream(slot)).count();
        self.mailbox.clients.fetch_sub(lost, Relaxed);
        self.shared.refund(self.exchanges.held_bytes());
        self.leave_all();
        self.count(Counter::WorkerFailures);
        self.shared.events().push(
            serde_json::json!({
                "event": "log",
                "severity": "ERROR",
                "message": "A worker failed and was started again; its connections are lost.",
                "connections": lost,
            })
            .to_string(),
        );
        // Nobody says again what has changed since the snapshot.
        let current = self.pools.iter().filter(|pool| pool.current);
        let reported: Vec<_> = current.map(|pool| (pool.backend.name.clone(), pool.reported())).collect();
        let mut worker = Worker::new(self.poll, self.shared, self.mailbox, self.snapshot.0.clone());
        for (backend, (endpoints, states)) in reported {
            worker.set_endpoints(&backend, &endpoints);
            worker.set_health(&backend, &states);
        }
        worker.log = self.log;
        worker.closing = self.closing;
        worker
    }

    /// Exchanges go on with what they have chosen; pools keep their connections where the backend's name stays.
    pub(super) fn adopt(&mut self, snapshot: Arc<Snapshot>) {
        for pool in &mut self.pools {
            pool.current = false;
        }
        for backend in &snapshot.backends {
            match self.pools.iter().position(|pool| pool.backend.name == backend.name) {
                Some(at) => {
                    self.pools[at].backend = backend.clone();
                    self.pools[at].changed();
                    self.pools[at].current = true;
                    self.update_endpoints(at as u32, &backend.endpoints);
                }
                None => {
                    let tallies = self.shared.tallies().clone();
                    let breakers = self.shared.breakers().of(&backend.name);
                    self.pools.push(Pool::new(backend.clone(), self.random, tallies, breakers, self.clock.now_ms));
                }
            }
        }
        for at in 0..self.pools.len() {
            if !self.pools[at].current {
                self.update_endpoints(at as u32, &[]);
                // A backend that comes back is new to whoever says how its endpoints are.
                self.pools[at].forget_health();
            }
        }
        for pool in &mut self.pools {
            let authority = pool.backend.authority.as_ref();
            pool.limiter = self.shared.limiters().of(&pool.backend.name, pool.backend.adaptive_concurrency);
            pool.authority = authority.map(|value| self.dictionary.field(b":authority", value.as_bytes()));
        }
        let pool_of = |name: &str| self.pools.iter().position(|pool| pool.backend.name == name).unwrap_or(0) as u32;
        self.pool_of_backend = snapshot.backends.iter().map(|backend| pool_of(&backend.name)).collect();
        self.snapshot = Rc::new(Adopted(snapshot));
        self.memo.clear();
        self.series_index.reset(self.snapshot.table.methods().len(), self.pools.len());
        self.keys_changed();
    }

    pub(super) fn set_endpoints(&mut self, backend: &str, endpoints: &[Endpoint]) {
        if let Some(at) = self.pools.iter().position(|pool| pool.backend.name == backend) {
            self.update_endpoints(at as u32, endpoints);
        }
    }

    pub(super) fn set_health(&mut self, backend: &str, states: &[(Address, Health)]) {
        if let Some(at) = self.pools.iter().position(|pool| pool.backend.name == backend) {
            let ill = self.pools[at].set_health(states, self.clock.now_ms);
            for connection in ill {
                self.retire(connection);
            }
            self.drain_queue(at as u32);
        }
    }

    pub(super) fn change_endpoints(&mut self, backend: &str, changed: &[Endpoint], removed: &[Address]) {
        if let Some(at) = self.pools.iter().position(|pool| pool.backend.name == backend) {
            let gone = self.pools[at].change_endpoints(changed, removed, self.clock.now_ms);
            self.retire_all(at as u32, gone);
        }
    }

    fn update_endpoints(&mut self, pool: u32, endpoints: &[Endpoint]) {
        let gone = self.pools[pool as usize].set_endpoints(endpoints, self.clock.now_ms);
        self.retire_all(pool, gone);
    }

    fn retire_all(&mut self, pool: u32, connections: Vec<u32>) {
        let drain_timeout_ms = self.pools[pool as usize].backend.drain_timeout_ms;
        for connection in connections {
            self.retire(connection);
            if let Some(timeout_ms) = drain_timeout_ms {
                self.end_within(connection, timeout_ms);
            }
        }
        self.drain_queue(pool);
    }

    /// A connection that was retired ends in so many milliseconds, if not earlier.
    fn end_within(&mut self, slot: u32, timeout_ms: u64) {
        let end_ms = self.clock.now_ms + timeout_ms;
        match self.connections.get(slot) {
            Some(_) if timeout_ms == 0 => self.close_connection(slot),
            Some(connection) => {
                connection.end_ms = end_ms;
                self.arm_connection(slot, end_ms);
            }
            None => {}
        }
    }

    pub(super) fn http2_config(&self) -> http2::Config {
        let limits = &self.snapshot.limits;
        http2::Config {
            max_concurrent_streams: limits.max_concurrent_streams,
            stream_window: self.snapshot.stream_window(),
            connection_window: limits.connection_window_bytes,
            headers: Limits { bytes: limits.max_header_bytes as usize, fields: limits.max_headers.min(200) as usize },
        }
    }

    pub(super) fn accept(&mut self, socket: Socket, listener: Arc<str>) {
        let limits = &self.snapshot.limits;
        configure(&socket, limits.tcp_user_timeout_ms);
        let tls = self.snapshot.listeners.iter().find(|known| known.name == *listener).map(|known| known.tls.clone());
        let transport = match tls {
            Some(Some(config)) => Transport::accept_tls(socket, config),
            Some(None) => Ok(Transport::Plain(socket)),
            None => Err(std::io::ErrorKind::NotFound.into()),
        };
        let Ok(transport) = transport else {
            self.mailbox.clients.fetch_sub(1, Relaxed);
            return;
        };
        let now_ms = self.clock.now_ms;
        let (timeout_ms, keepalive_ms) = (limits.header_timeout_ms, limits.keepalive_time_ms);
        let (age_ms, grace_ms) = (limits.max_connection_age_ms, limits.max_connection_age_grace_ms);
        let mut connection = Connection::new(Side::Client, transport, Stage::Open, now_ms);
        connection.listener = Some(listener);
        self.count(Counter::ClientConnections);
        if self.closing {
            connection.drain_ms = now_ms + LATE_CLIENT_MS;
        } else if age_ms > 0 {
            let jittered = age_ms - age_ms / 10 + self.next_random() % (age_ms / 5).max(1);
            connection.drain_ms = now_ms + jittered;
            connection.end_ms = now_ms + jittered + grace_ms;
        }
        let slot = self.connections.insert(connection);
        if self.register(slot).is_err() {
            self.connections.remove(slot);
            self.mailbox.clients.fetch_sub(1, Relaxed);
            return;
        }
        let mut first_ms = if self.closing { LATE_CLIENT_MS.min(timeout_ms) } else { timeout_ms };
        if keepalive_ms > 0 {
            first_ms = first_ms.min(keepalive_ms);
        }
        self.arm_connection(slot, now_ms + first_ms);
        self.readable(slot);
    }

    pub(super) fn register(&mut self, slot: u32) -> std::io::Result<()> {
        let Some(connection) = self.connections.get(slot) else { return Ok(()) };
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(connection.transport.stream_mut(), Token(slot as usize), interest)
    }

    /// Says to backends who the client is, once its certificate is verified.
    pub(super) fn take_client_certificate(&mut self, slot: u32) {
        let Some(connection) = self.connections.get(slot) else { return };
        let value = connection.transport.peer_certificate().and_then(forwarded_client_cert);
        connection.client_certificate =
            value.map(|value| self.dictionary.field(b"x-forwarded-client-cert", value.as_bytes()));
    }

    pub(super) fn speak_http2(&mut self, slot: u32, role: Role) {
        let config = self.http2_config();
        let now_ms = self.clock.now_ms;
        if let Some(connection) = self.connections.get(slot) {
            connection.protocol = Protocol::Http2(Box::new(http2::Connection::new(role, config, now_ms)));
        }
        self.mark(slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::document::Document;
    use serde_json::{Value, json};

    fn endpoint(address: &str) -> Endpoint {
        Endpoint { address: Address::parse(address).unwrap(), weight: 3, priority: 1, distance: 0 }
    }

    /// (address, weight, priority, health) of all endpoints that requests may go to.
    fn known(worker: &mut Worker) -> Vec<(String, u64, u64, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let backends = worker.list_backends();
        let endpoints = backends[0]["endpoints"].as_array().unwrap().iter().filter(|endpoint| endpoint["weight"] != 0);
        let mut known: Vec<_> = endpoints
            .map(|endpoint| {
                let (weight, priority) = (endpoint["weight"].as_u64().unwrap(), endpoint["priority"].as_u64().unwrap());
                (text(&endpoint["address"]), weight, priority, text(&endpoint["health"]))
            })
            .collect();
        known.sort();
        known
    }

    #[test]
    fn a_worker_that_takes_the_place_of_another_knows_what_came_after_the_snapshot() {
        let backends = json!([{"name": "app", "endpoints": [{"address": "10.0.0.1:1"}, {"address": "10.0.0.2:1"}]}]);
        let document = json!({"version": "1", "listeners": [], "backends": backends, "routes": []});
        let document: Document = serde_json::from_value(document).unwrap();
        let snapshot = Arc::new(Snapshot::compile(document, None).unwrap());
        let poll = Poll::new().unwrap();
        let mailbox = Arc::new(Mailbox::new(mio::Waker::new(poll.registry(), super::super::WAKE).unwrap()));
        let mut worker = Worker::new(poll, Arc::default(), mailbox, snapshot);
        worker.change_endpoints("app", &[endpoint("10.0.0.3:1")], &[Address::parse("10.0.0.1:1").unwrap()]);
        let states = [("10.0.0.2:1", Health::Unhealthy), ("10.0.0.3:1", Health::Healthy)];
        worker.set_health("app", &states.map(|(address, health)| (Address::parse(address).unwrap(), health)));
        let before = known(&mut worker);
        assert_eq!(before.len(), 2, "{before:?}");
        assert_eq!(known(&mut worker.restarted()), before);
    }
}
