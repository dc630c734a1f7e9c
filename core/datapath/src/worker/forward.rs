//! From a request to a stream on a connection to its backend.

use super::connection::{Connection, Protocol, Side, Stage};
use super::exchange::{CLIENT, Half, NONE, Phase, UPSTREAM};
use super::facts::format_timeout;
use super::transport::{configure, has_failed, is_connected};
use super::{Key, Worker, answer};
use crate::bytes::wheel::Armed;
use crate::http2::hpack::Token;
use crate::http2::{ErrorCode, Role};
use crate::observe::counters::Counter;
use crate::snapshot::{Address, Backend};
use crate::tls::{Socket, Transport};
use crate::upstream::retry::{Failure, Pushback};
use crate::upstream::{Ending, Kind, Place, limit};
use std::io;

/// Time spent before a request is sent that its deadline has to show.
const SHORTEN_AFTER_NS: u64 = 1_000_000;

impl Worker {
    /// Chooses the backend and, if a connection to it has room, sends the request there; else it waits for one.
    #[inline]
    pub(super) fn dispatch(&mut self, slot: u32) {
        let pool = self.exchanges[slot].pool;
        if self.clock.now_ns - self.exchanges[slot].started_ns > SHORTEN_AFTER_NS {
            self.shorten_timeout(slot);
        }
        if pool as usize >= self.pools.len() {
            self.answer(slot, answer::NO_BACKEND);
            return;
        }
        if self.exchanges[slot].tries.as_ref().is_some_and(|tries| tries.request.is_none())
            && !self.take_request(slot, pool)
        {
            return;
        }
        if self.pools[pool as usize].queue.is_empty()
            && let Some((endpoint, connection)) = self.pick(pool, slot)
        {
            self.join(slot, endpoint, connection);
            return;
        }
        self.enqueue(slot, pool);
    }

    fn enqueue(&mut self, slot: u32, pool: u32) {
        let exchange = &mut self.exchanges[slot];
        exchange.phase = Phase::Queued;
        let waiting = (slot, exchange.generation);
        let chosen = &mut self.pools[pool as usize];
        if !chosen.queue.push_back(waiting, chosen.backend.breakers.max_pending) {
            self.count(Counter::BreakerPending);
            self.answer(slot, answer::QUEUE_FULL);
            return;
        }
        self.connect_for_queue(pool);
    }

    pub(super) fn connect_if_possible(&mut self, pool: u32, endpoint: u32) -> bool {
        let now_ms = self.clock.now_ms;
        let chosen = &self.pools[pool as usize];
        let target = &chosen.endpoints[endpoint as usize];
        if !target.may_connect(now_ms) || target.connections.len() >= chosen.backend.max_connections {
            return false;
        }
        let mut most = limit(chosen.backend.breakers.max_connections);
        if most < u32::MAX && chosen.endpoints.iter().all(|endpoint| endpoint.connections.is_empty()) {
            // Its requests would wait for nothing.
            most = u32::MAX;
        }
        let Some(place) = chosen.breakers.take(Kind::Connections, most) else {
            self.count(Counter::BreakerConnections);
            return false;
        };
        self.connect(pool, endpoint, place);
        true
    }

    /// Sees to it that somebody will take the queue: a connection that is being made, or a time to try again. Only
    /// endpoints that requests may go to are connected to, the best first.
    fn connect_for_queue(&mut self, pool: u32) {
        let (now_ms, random) = (self.clock.now_ms, self.next_random());
        let chosen = &mut self.pools[pool as usize];
        if chosen.queue.is_empty() {
            return;
        }
        if chosen.choice(now_ms).0.is_empty() {
            self.fail_queue(pool, answer::NO_ENDPOINT);
            return;
        }
        if chosen.is_connecting(now_ms) {
            return;
        }
        let most = chosen.backend.max_connections;
        let (spread, endpoints) = chosen.choice(now_ms);
        let mut again_ms = u64::MAX;
        let next = spread.slots_from(random).find(|&at| {
            let endpoint = &endpoints[at as usize];
            if endpoint.connections.len() >= most {
                return false;
            }
            again_ms = again_ms.min(endpoint.not_before_ms());
            endpoint.may_connect(now_ms)
        });
        match next {
            Some(at) => {
                self.connect_if_possible(pool, at);
            }
            None if (now_ms + 1..u64::MAX).contains(&again_ms) => {
                self.wheel.arm(&mut Armed::default(), Key::Pool(pool), again_ms);
            }
            // All connections are full: the queue moves when a stream ends.
            None => {}
        }
    }

    /// Puts a refused request before all that wait.
    pub(super) fn dispatch_refused(&mut self, slot: u32) {
        let exchange = &mut self.exchanges[slot];
        exchange.phase = Phase::Queued;
        let (pool, waiting) = (exchange.pool, (slot, exchange.generation));
        let chosen = &mut self.pools[pool as usize];
        if !chosen.queue.push_front(waiting, chosen.backend.breakers.max_pending) {
            self.count(Counter::BreakerPending);
            self.answer(slot, answer::QUEUE_FULL);
            return;
        }
        self.drain_queue(pool);
    }

    pub(super) fn fail_queue(&mut self, pool: u32, with: answer::Answer) {
        for (slot, generation) in self.pools[pool as usize].queue.take() {
            if self.exchanges.current(slot, generation).is_some_and(|exchange| exchange.phase == Phase::Queued) {
                self.answer(slot, with.clone());
            }
        }
    }

    /// Sends as many of the waiting requests as there is room for.
    pub(super) fn drain_queue(&mut self, pool: u32) {
        while let Some(&(slot, generation)) = self.pools[pool as usize].queue.front() {
            let waits =
                self.exchanges.current(slot, generation).is_some_and(|exchange| exchange.phase == Phase::Queued);
            if waits {
                let Some((endpoint, connection)) = self.pick(pool, slot) else { break };
                self.pools[pool as usize].queue.pop_front();
                self.shorten_timeout(slot);
                self.join(slot, endpoint, connection);
            } else {
                self.pools[pool as usize].queue.pop_front();
            }
        }
        self.connect_for_queue(pool);
    }

    /// The backend is told the time that is left, not the one that the client began with.
    pub(super) fn shorten_timeout(&mut self, slot: u32) {
        let exchange = &mut self.exchanges[slot];
        let left_ms = exchange.deadline_ms.saturating_sub(self.clock.now_ms);
        if exchange.deadline_ms == 0 {
            return;
        }
        if let Some(head) = &mut exchange.head
            && let Some(at) = head.list.find_token(Token::GrpcTimeout)
        {
            head.list.set_value(&self.dictionary, at, format_timeout(left_ms.max(1)).as_bytes());
        }
    }

    /// Opens the upstream stream and sends the request's fields, and what has arrived of its body.
    #[inline]
    pub(super) fn join(&mut self, slot: u32, endpoint: u32, connection: u32) {
        let exchange = &mut self.exchanges[slot];
        let Some(upstream) = self.connections.get(connection) else { return };
        let Some(http2) = upstream.http2() else { return };
        let Some(stream) = http2.open_stream(slot) else { return };
        let waiting = exchange.pending[UPSTREAM].is_some();
        let end_stream = exchange.sides[CLIENT].ended && !waiting;
        if let Some(head) = &exchange.head {
            http2.headers(stream, end_stream, |encoder, out| encoder.list(&head.list, out));
        }
        exchange.phase = Phase::Joined;
        exchange.endpoint = endpoint;
        self.pools[exchange.pool as usize].opened();
        exchange.sides[UPSTREAM] = Half {
            connection,
            stream,
            send_window: http2.initial_send_window(),
            receive_window: http2.stream_window() as i32,
            credit_at: http2.stream_window() / 2,
            ..Half::ABSENT
        };
        let watched = exchange.tries.is_some();
        self.mark(connection);
        if watched {
            self.attempt_begun(slot);
        }
        if waiting {
            self.pump(slot, UPSTREAM);
        }
    }

    fn connect(&mut self, pool: u32, endpoint: u32, place: Place) {
        let chosen = &self.pools[pool as usize];
        let timeout_ms = chosen.backend.connect_timeout_ms;
        let user_timeout_ms = self.snapshot.limits.tcp_user_timeout_ms;
        let opened = open(&chosen.backend, &chosen.endpoints[endpoint as usize].address, user_timeout_ms);
        let now_ms = self.clock.now_ms;
        let Ok(transport) = opened else {
            self.connect_failed(pool, endpoint);
            return;
        };
        let side = Side::Upstream { pool, endpoint };
        let mut connection = Connection::new(side, transport, Stage::Connecting, now_ms);
        connection.place = Some(place);
        let slot = self.connections.insert(connection);
        let target = &mut self.pools[pool as usize].endpoints[endpoint as usize];
        target.connections.push(slot);
        target.connecting += 1;
        target.open += 1;
        if self.register(slot).is_err() {
            self.close_connection(slot);
            return;
        }
        self.arm_connection(slot, now_ms + timeout_ms);
    }

    /// The socket of a connection that was being made is writable: it is connected, or has failed.
    pub(super) fn connected(&mut self, slot: u32) {
        let Some(connection) = self.connections.get(slot) else { return };
        if has_failed(connection.transport.stream()) {
            self.close_connection(slot);
            return;
        }
        if !is_connected(connection.transport.stream()) {
            return;
        }
        connection.stage = Stage::Open;
        self.speak_http2(slot, Role::Client);
    }

    /// The backend's SETTINGS have arrived.
    pub(super) fn upstream_settled(&mut self, slot: u32) {
        let now_ms = self.clock.now_ms;
        let Some(connection) = self.connections.get(slot) else { return };
        let Side::Upstream { pool, endpoint } = connection.side else { return };
        if !connection.ready {
            connection.ready = true;
            let chosen = &mut self.pools[pool as usize];
            let keepalive_ms = chosen.backend.keepalive_time_ms;
            let target = &mut chosen.endpoints[endpoint as usize];
            target.connecting = target.connecting.saturating_sub(1);
            target.succeeded();
            self.count(Counter::UpstreamConnections);
            if keepalive_ms > 0 {
                self.arm_connection(slot, now_ms + keepalive_ms);
            }
        }
        self.drain_queue(pool);
    }

    /// One endpoint could not be reached. Those who wait look for another that can, as gRPC's clients do, for as long as one
    /// connection may take; after that, and once all are known to be away, as often as their policy says.
    pub(super) fn connect_failed(&mut self, pool: u32, endpoint: u32) {
        let now_ms = self.clock.now_ms;
        self.count(Counter::UpstreamConnectFailures);
        self.note(pool, endpoint, Ending::Failed);
        self.lost(pool, endpoint);
        let chosen = &mut self.pools[pool as usize];
        chosen.endpoints[endpoint as usize].failed(now_ms);
        if chosen.is_connecting(now_ms) {
            return;
        }
        if chosen.is_connected(now_ms) {
            // They wait for room there, and have nothing to do with this endpoint.
            self.connect_for_queue(pool);
            return;
        }
        let backend = chosen.backend.clone();
        let (spread, endpoints) = chosen.choice(now_ms);
        let is_another = spread.slots().any(|at| endpoints[at as usize].may_connect(now_ms));
        let search_ns = backend.connect_timeout_ms * 1_000_000;
        let now_ns = self.clock.now_ns;
        for (slot, generation) in chosen.queue.take() {
            let Some(exchange) = self.exchanges.current(slot, generation) else { continue };
            if exchange.phase != Phase::Queued {
                continue;
            }
            let policy = exchange.tries.as_ref().map_or(&backend.retry, |tries| &tries.policy);
            let may_again = |attempts: u32| policy.decide(Failure::Connect, attempts, Pushback::Silent, 0).is_some();
            let searches = is_another && may_again(0) && now_ns.saturating_sub(exchange.started_ns) < search_ns;
            if !searches && !may_again(exchange.attempts) {
                self.answer(slot, answer::CONNECT_FAILED);
                continue;
            }
            if !searches {
                exchange.attempts += 1;
                self.mailbox.stats.counters.add(Counter::RetriesConnect, 1);
            }
            let _ = self.pools[pool as usize].queue.push_back((slot, generation), u32::MAX);
        }
        self.connect_for_queue(pool);
    }

    /// A connection to an endpoint that is gone, or that is going away, takes no more streams.
    pub(super) fn retire(&mut self, slot: u32) {
        let Some(connection) = self.connections.get(slot) else { return };
        if let Side::Upstream { pool, endpoint } = connection.side {
            let idle = connection.stream_count() == 0;
            let connecting = !connection.ready;
            let target = &mut self.pools[pool as usize].endpoints[endpoint as usize];
            if !connecting {
                target.connections.retain(|&held| held != slot);
            }
            if idle {
                self.close_connection(slot);
            } else if let Some(http2) = self.connections.get(slot).and_then(Connection::http2) {
                // It ends with its last stream.
                http2.goaway(ErrorCode::NO_ERROR, "");
                self.mark(slot);
            }
        }
    }

    /// Nothing refers to the connection as one that takes requests.
    pub(super) fn leave_pool(&mut self, slot: u32, side: Side, ready: bool) {
        let Side::Upstream { pool, endpoint } = side else { return };
        let target = &mut self.pools[pool as usize].endpoints[endpoint as usize];
        target.connections.retain(|&held| held != slot);
        target.open -= 1;
        if ready {
            self.lost(pool, endpoint);
        } else {
            target.connecting = target.connecting.saturating_sub(1);
            if target.weight == 0 {
                // Nothing failed: the endpoint is gone.
                self.connect_for_queue(pool);
            } else {
                self.connect_failed(pool, endpoint);
            }
        }
    }

    /// Discovery may know more by now. gRPC's clients ask again too whenever a connection ends, by GOAWAY or otherwise.
    #[cold]
    pub(super) fn lost(&mut self, pool: u32, endpoint: u32) {
        let now_ms = self.clock.now_ms;
        let pool = &mut self.pools[pool as usize];
        if pool.endpoints[endpoint as usize].weight > 0 && pool.tells_loss(now_ms) {
            self.shared.tell_lost(&pool.backend.name, &pool.endpoints[endpoint as usize].address);
        }
    }

    pub(super) fn is_idle_upstream(&mut self, slot: u32) -> bool {
        slot != NONE
            && self.connections.get(slot).is_some_and(|connection| match &connection.protocol {
                Protocol::Http2(http2) => http2.stream_count() == 0 && http2.is_going_away(),
                _ => false,
            })
    }
}

fn open(backend: &Backend, address: &Address, user_timeout_ms: u64) -> io::Result<Transport> {
    let socket = match address {
        Address::Tcp(address) => mio::net::TcpStream::connect(*address).map(Socket::Tcp)?,
        Address::Unix(path) => mio::net::UnixStream::connect(path).map(Socket::Unix)?,
    };
    configure(&socket, user_timeout_ms);
    match &backend.tls {
        Some(settings) => Transport::connect_tls(socket, settings),
        None => Ok(Transport::Plain(socket)),
    }
}
