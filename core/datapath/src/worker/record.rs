//! What is noted of an exchange when it ends.

use super::Worker;
use super::exchange::{Exchange, NONE};
use crate::observe::counters::Counter;
use crate::observe::series::{Code, Series};
use crate::shared::lock;
use crate::upstream::Ending;
use std::sync::Arc;

/// Which series an exchange belongs to: (method's number, pool) to the worker's series. Filled as requests come.
#[derive(Debug, Default)]
pub(super) struct SeriesIndex {
    places: Vec<u32>,
    pools: usize,
}

impl SeriesIndex {
    /// For a new snapshot, whose numbers are others.
    pub(super) fn reset(&mut self, methods: usize, pools: usize) {
        self.pools = pools + 1;
        self.places.clear();
        self.places.resize((methods + 1) * self.pools, NONE);
    }

    #[inline(always)]
    fn place(&mut self, method: u32, pool: u32) -> Option<&mut u32> {
        let pool = if pool == NONE { self.pools.saturating_sub(1) } else { pool as usize };
        self.places.get_mut(method as usize * self.pools + pool)
    }
}

impl Worker {
    #[inline]
    pub(super) fn record(&mut self, slot: u32) {
        if self.exchanges[slot].entered_ns != 0 {
            self.leave_unanswered(slot);
        }
        let exchange = &self.exchanges[slot];
        let code = match (exchange.grpc, exchange.grpc_status) {
            (true, u8::MAX) if exchange.status == 200 => Code::Grpc(2),
            (true, code) if code != u8::MAX => Code::Grpc(code),
            _ => Code::Http(exchange.status),
        };
        let elapsed_ns = self.clock.now_ns.saturating_sub(exchange.started_ns);
        let (method, pool, reason) = (exchange.method, exchange.pool, exchange.reason);
        let known = self.series_index.place(method, pool).map_or(NONE, |place| *place);
        let at = if known == NONE { self.open_series(method, pool) } else { known };
        if let Some(series) = self.series.get(at as usize) {
            series.record(code, elapsed_ns);
        }
        self.note_ending(slot, code);
        if !reason.is_empty() {
            *lock(&self.mailbox.stats.reasons).entry(reason).or_default() += 1;
        }
        if self.log.is_some() {
            self.log_exchange(slot, code, elapsed_ns);
        }
        if !reason.is_empty() {
            self.exchanges[slot].limit = None;
        }
    }

    /// For the endpoint that had the request. What the client broke off, or our own buffers, say nothing about it.
    #[inline]
    fn note_ending(&mut self, slot: u32, code: Code) {
        let exchange = &self.exchanges[slot];
        let reason = exchange.reason;
        if exchange.endpoint == NONE || reason.starts_with("client-") || reason == "buffer-full" {
            return;
        }
        self.note(exchange.pool, exchange.endpoint, Ending::of(code));
    }

    #[inline]
    pub(super) fn note(&mut self, pool: u32, endpoint: u32, ending: Ending) {
        let Some(pool) = self.pools.get(pool as usize) else { return };
        let Some(endpoint) = pool.endpoints.get(endpoint as usize) else { return };
        if let Some(consecutive) = endpoint.tally.note(ending, pool.backend.outlier_errors) {
            self.shared.tell_outlier(&pool.backend.name, &endpoint.address, consecutive);
        }
    }

    /// Finds or makes the series of a method and a backend, by name.
    #[cold]
    fn open_series(&mut self, method: u32, pool: u32) -> u32 {
        let named = method.checked_sub(1).and_then(|index| self.snapshot.table.methods().get(index as usize));
        let method_name = named.map_or("other", |method| &*method.name);
        let backend = self.pools.get(pool as usize).map_or("none", |pool| pool.backend.name.as_str());
        let found = self.series.iter().position(|series| &*series.method == method_name && &*series.backend == backend);
        let at = found.unwrap_or_else(|| {
            let series = Arc::new(Series::new(method_name, backend));
            lock(&self.mailbox.stats.series).push(series.clone());
            self.series.push(series);
            self.series.len() - 1
        });
        if let Some(place) = self.series_index.place(method, pool) {
            *place = at as u32;
        }
        at as u32
    }

    #[inline(always)]
    pub(super) fn count(&self, counter: Counter) {
        self.mailbox.stats.counters.add(counter, 1);
    }
}

/// Whether an exchange went as it should.
pub(super) fn succeeded(exchange: &Exchange, code: Code) -> bool {
    exchange.reason.is_empty()
        && match code {
            Code::Grpc(code) => code == 0,
            Code::Http(status) => (100..400).contains(&status),
        }
}
