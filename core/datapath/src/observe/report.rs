//! Everything that is counted, merged over workers, as JSON.
//!
//! `{"counters": [{"name", "labels", "value"}], "gauges": [...], "histograms": [{"name", "labels", "buckets": [[upper bound
//! in seconds or null, cumulative count]], "sum", "count"}], "help": {name: text}}`: generic, so that a new counter needs no
//! change in Python.

use super::admission;
use super::counters::{Counters, DESCRIPTIONS};
use super::series::{Series, bounds};
use crate::admission::rate_limit::Applied;
use crate::shared::{Mailbox, Shared, lock};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

/// What one worker lets others read.
#[derive(Debug, Default)]
pub struct WorkerStats {
    pub counters: Counters,
    pub series: Mutex<Vec<Arc<Series>>>,
    /// Answers of our own by reason. Not in the hot path.
    pub reasons: Mutex<BTreeMap<&'static str, u64>>,
}

impl WorkerStats {
    pub fn ended_calls(&self, backend: &str) -> u64 {
        lock(&self.series).iter().filter(|series| &*series.backend == backend).map(|series| series.calls()).sum()
    }
}

#[derive(Default)]
struct Merged {
    codes: BTreeMap<String, u64>,
    durations: Vec<u64>,
    seconds: f64,
}

pub fn report(shared: &Shared, limits: &[Applied], mailboxes: &[Arc<Mailbox>]) -> Value {
    let mut help = Map::new();
    let mut counters = Vec::new();
    for (index, (name, label, text)) in DESCRIPTIONS.iter().enumerate() {
        let value: u64 = mailboxes.iter().map(|mailbox| mailbox.stats.counters.get(index)).sum();
        let labels: Map<String, Value> = label.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        counters.push(json!({"name": name, "labels": labels, "value": value}));
        help.insert((*name).into(), (*text).into());
    }
    let mut histograms = Vec::new();
    for ((method, backend), merged) in merge(mailboxes) {
        for (code, value) in &merged.codes {
            let labels = json!({"method": method, "backend": backend, "code": code});
            counters.push(json!({"name": "requests_total", "labels": labels, "value": value}));
        }
        histograms.push(histogram(&method, &backend, &merged));
    }
    let mut reasons: BTreeMap<&'static str, u64> = BTreeMap::new();
    for mailbox in mailboxes {
        for (reason, count) in lock(&mailbox.stats.reasons).iter() {
            *reasons.entry(reason).or_default() += count;
        }
    }
    for (reason, value) in reasons {
        counters.push(json!({"name": "failures_total", "labels": {"reason": reason}, "value": value}));
    }
    for (name, text) in [
        ("requests_total", "Requests by method, backend and how they ended."),
        ("request_duration_seconds", "From a request's header fields to the end of its response."),
        ("failures_total", "Requests that the gateway or a client ended, by reason."),
        ("connections", "Open client connections."),
        ("streams", "Requests under way."),
        ("buffered_bytes", "Bytes of bodies that wait for a peer."),
        ("draining", "1 while health checks are told that this gateway is going away."),
    ] {
        help.insert(name.into(), text.into());
    }
    let mut gauges = Vec::new();
    admission::add(shared, limits, &mut counters, &mut gauges, &mut help);
    for (worker, mailbox) in mailboxes.iter().enumerate() {
        let labels = json!({"worker": worker.to_string()});
        gauges.push(json!({"name": "connections", "labels": labels, "value": mailbox.clients.load(Relaxed)}));
        gauges.push(json!({"name": "streams", "labels": labels, "value": mailbox.streams.load(Relaxed)}));
    }
    gauges.push(json!({"name": "buffered_bytes", "labels": {}, "value": shared.buffered()}));
    gauges.push(json!({"name": "draining", "labels": {}, "value": u8::from(shared.draining.load(Relaxed))}));
    json!({"counters": counters, "gauges": gauges, "histograms": histograms, "help": help})
}

fn merge(mailboxes: &[Arc<Mailbox>]) -> BTreeMap<(String, String), Merged> {
    let mut all: BTreeMap<(String, String), Merged> = BTreeMap::new();
    for mailbox in mailboxes {
        for series in lock(&mailbox.stats.series).iter() {
            let merged = all.entry((series.method.to_string(), series.backend.to_string())).or_default();
            for (code, count) in series.codes() {
                *merged.codes.entry(code).or_default() += count;
            }
            let durations = series.durations();
            merged.durations.resize(durations.len(), 0);
            merged.durations.iter_mut().zip(durations).for_each(|(sum, count)| *sum += count);
            merged.seconds += series.seconds();
        }
    }
    all
}

fn histogram(method: &str, backend: &str, merged: &Merged) -> Value {
    let mut total = 0;
    let bounds = bounds().map(Value::from).chain([Value::Null]);
    let buckets: Vec<Value> = bounds
        .zip(&merged.durations)
        .map(|(bound, count)| {
            total += count;
            json!([bound, total])
        })
        .collect();
    json!({
        "name": "request_duration_seconds",
        "labels": {"method": method, "backend": backend},
        "buckets": buckets,
        "sum": merged.seconds,
        "count": total,
    })
}
