//! What operators ask a worker: its connections and backends as they are, and the access log.

use super::Worker;
use super::connection::{Protocol, Stage};
use super::exchange::{CLIENT, UPSTREAM};
use super::record::succeeded;
use crate::access_log::{self, Bounded, LogSender, Record, Sampler, TraceContext};
use crate::admission::limiter::Limiter;
use crate::http2::hpack::Token;
use crate::observe::counters::Counter;
use crate::observe::series::Code;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Records of one turn that are handed over together.
const BATCH: usize = 256;

pub(super) struct Log {
    sender: LogSender,
    sampler: Sampler,
    batch: Vec<Record>,
}

impl Worker {
    pub(super) fn set_log(&mut self, target: Option<(LogSender, u32)>) {
        self.send_log();
        self.log = target.map(|(sender, rate)| Log { sender, sampler: Sampler::new(rate), batch: Vec::new() });
    }

    /// Hands over what this turn has noted.
    #[inline]
    pub(super) fn send_log(&mut self) {
        if let Some(log) = &mut self.log
            && !log.batch.is_empty()
        {
            log.sender.send(std::mem::take(&mut log.batch));
        }
    }

    #[inline]
    pub(super) fn log_exchange(&mut self, slot: u32, code: Code, elapsed_ns: u64) {
        let failed = !succeeded(&self.exchanges[slot], code);
        let now_ns = self.clock.now_ns;
        let Some(log) = &mut self.log else { return };
        if !log.sampler.admit(now_ns, failed) {
            self.count(Counter::LogSampled);
            return;
        }
        let record = self.log_record(slot, elapsed_ns);
        let Some(log) = &mut self.log else { return };
        log.batch.push(record);
        if log.batch.len() >= BATCH {
            self.send_log();
        }
    }

    #[cold]
    fn log_record(&self, slot: u32, elapsed_ns: u64) -> Record {
        let exchange = &self.exchanges[slot];
        let unix_ns = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let mut record = Record {
            start_unix_ns: unix_ns.saturating_sub(elapsed_ns),
            duration_ns: elapsed_ns,
            method: self.snapshot.table.label(exchange.method.checked_sub(1)).into(),
            status: exchange.status,
            grpc_status: (exchange.grpc_status != u8::MAX).then_some(exchange.grpc_status),
            reason: exchange.reason,
            limit: exchange.limit.clone().unwrap_or_default(),
            bytes_in: exchange.sides[CLIENT].bytes,
            bytes_out: exchange.sides[UPSTREAM].bytes,
            ..Record::default()
        };
        if let Some(pool) = self.pools.get(exchange.pool as usize)
            && let Some(endpoint) = pool.endpoints.get(exchange.endpoint as usize)
        {
            record.upstream = endpoint.address.to_string().into();
        }
        if let Some(connection) = self.connections.peek(exchange.sides[CLIENT].connection) {
            record.client = (*connection.peer_address).into();
            record.is_tls = connection.transport.is_tls();
            if let Protocol::Http1(_) = connection.protocol {
                record.protocol = access_log::Protocol::Http11;
            }
        }
        if let Some(caller) = &exchange.caller {
            record.jwt_issuer = caller.claims.issuer.as_str().into();
        }
        let Some(head) = &exchange.head else { return record };
        if let Some(original) = &head.original {
            record.http_method = original.0.as_slice().into();
            record.path = original.1.as_slice().into();
        }
        for index in 0..head.list.len() {
            let value = head.list.value(&self.dictionary, index);
            match head.list.token(index) {
                Token::Method if head.original.is_none() => record.http_method = value.into(),
                Token::Path if head.original.is_none() => record.path = Bounded::from(value),
                Token::Authority => record.authority = value.into(),
                Token::UserAgent => record.user_agent = value.into(),
                Token::RequestId => record.request_id = value.into(),
                Token::Traceparent => record.trace = TraceContext::parse(value),
                Token::ForwardedFor => {
                    record.client = trusted_address(value, self.snapshot.xff_trusted_hops).into();
                }
                _ => {}
            }
        }
        record
    }

    pub(super) fn list_clients(&mut self, most: usize) -> Vec<Value> {
        let now_ms = self.clock.now_ms;
        let keys = self.connections.keys();
        let mut clients = Vec::new();
        for slot in keys {
            let Some(connection) = self.connections.peek(slot) else { continue };
            if !connection.is_client() {
                continue;
            }
            if clients.len() >= most {
                break;
            }
            let (protocol, requests) = match &connection.protocol {
                Protocol::Http2(_) => ("h2", connection.requests),
                Protocol::Http1(http1) => ("http/1.1", http1.requests),
                Protocol::Unknown => ("unknown", 0),
            };
            clients.push(json!({
                "listener": connection.listener.as_deref(),
                "address": connection.peer.map(|peer| peer.to_string()),
                "protocol": protocol,
                "tls": connection.transport.is_tls(),
                "age_seconds": now_ms.saturating_sub(connection.opened_ms) as f64 / 1e3,
                "idle_seconds": now_ms.saturating_sub(connection.active_ms) as f64 / 1e3,
                "requests": requests,
                "streams": connection.stream_count(),
                "buffered_bytes": connection.backlog(),
                "draining": connection.drain_announced,
            }));
        }
        clients
    }

    pub(super) fn list_backends(&mut self) -> Vec<Value> {
        let mut backends = Vec::new();
        for pool in &mut self.pools {
            let mut endpoints = Vec::new();
            let shares = pool.shares(self.clock.now_ms);
            for (endpoint, (effective_weight, share)) in pool.endpoints.iter().zip(shares) {
                let (mut open, mut streams) = (0, 0);
                for connection in endpoint.connections.iter().filter_map(|&slot| self.connections.peek(slot)) {
                    open += usize::from(connection.stage == Stage::Open);
                    streams += connection.stream_count();
                }
                let totals = endpoint.tally.totals();
                endpoints.push(json!({
                    "address": endpoint.address.to_string(),
                    "weight": endpoint.weight,
                    "effective_weight": effective_weight,
                    "share": share,
                    "priority": endpoint.priority(),
                    "distance": endpoint.distance(),
                    "health": endpoint.health.name(),
                    "connections": open,
                    "connecting": endpoint.connecting,
                    "streams": streams,
                    "failing": endpoint.is_failing(),
                    "answered": totals.answered,
                    "erred": totals.erred,
                    "failed": totals.failed,
                }));
            }
            let limiter = pool.limiter.as_deref();
            backends.push(json!({
                "name": pool.backend.name,
                "current": pool.current,
                "waiting": pool.queue.len(),
                "open": pool.open(),
                "concurrency_limit": limiter.and_then(Limiter::limit),
                "under_way": limiter.map(Limiter::under_way),
                "overloaded": limiter.map(Limiter::refused),
                "endpoints": endpoints,
            }));
        }
        backends
    }
}

/// The client's address: the one that the outermost proxy we trust has seen. Without any it is the last, the peer's own.
pub(super) fn trusted_address(chain: &[u8], trusted_hops: u32) -> &[u8] {
    let mut addresses = chain.rsplit(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    let seen = addresses.nth(trusted_hops as usize);
    seen.unwrap_or_else(|| chain.split(|&byte| byte == b',').next().unwrap_or_default().trim_ascii())
}
