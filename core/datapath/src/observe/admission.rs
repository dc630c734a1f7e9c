//! What the report says of rate limits and of backends whose calls are counted.

use crate::admission::rate_limit::Applied;
use crate::shared::Shared;
use serde_json::{Map, Value, json};

const HELP: [(&str, &str); 4] = [
    ("rate_limited_total", "Requests that a rate limit refused."),
    ("overloaded_total", "Calls refused because their backend had as many under way as it can take."),
    ("concurrency_limit", "Calls that a backend may have under way."),
    ("calls_under_way", "Calls of a backend that were let in and not answered yet."),
];

pub(super) fn add(
    shared: &Shared,
    limits: &[Applied],
    counters: &mut Vec<Value>,
    gauges: &mut Vec<Value>,
    help: &mut Map<String, Value>,
) {
    for (name, text) in HELP {
        help.insert(name.into(), text.into());
    }
    for Applied { limit, .. } in limits {
        let labels = json!({"limit": limit.name()});
        counters.push(json!({"name": "rate_limited_total", "labels": labels, "value": limit.refused()}));
    }
    for (backend, limiter) in shared.limiters().all() {
        let labels = json!({"backend": backend});
        counters.push(json!({"name": "overloaded_total", "labels": labels, "value": limiter.refused()}));
        gauges.push(json!({"name": "calls_under_way", "labels": labels, "value": limiter.under_way()}));
        if let Some(limit) = limiter.limit() {
            gauges.push(json!({"name": "concurrency_limit", "labels": labels, "value": limit}));
        }
    }
}
