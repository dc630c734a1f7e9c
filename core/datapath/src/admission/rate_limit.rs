//! The rate limits of a snapshot, and what all those of one request together decide.

use super::buckets::{Buckets, Key, Place, Rule};
use crate::snapshot::document::{self, RateKey};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// That a route or method may name.
pub const MOST_LIMITS: usize = 8;
/// A bucket that takes longer to fill is a mistake.
const LONGEST_FILL_NS: u64 = 100 * 365 * 86_400 * 1_000_000_000;
/// Memory of one limit's keys is 32 bytes or a little more for each.
const MOST_KEYS: u32 = 10_000_000;

/// What requests are told apart by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// Not at all.
    Everybody,
    /// The number of a claim in `Caller::limit_keys`.
    Claim(usize),
    /// Its name is in lower case.
    Header(Box<str>),
    Source,
}

/// A limit as one snapshot uses it.
#[derive(Debug, Clone)]
pub struct Applied {
    pub of: Of,
    pub limit: Arc<RateLimit>,
}

/// A limit and its buckets, which outlive a snapshot as long as its definition stays.
#[derive(Debug)]
pub struct RateLimit {
    name: Arc<str>,
    definition: document::RateLimit,
    rule: Rule,
    buckets: Buckets,
    refused: AtomicU64,
}

/// Which limit a request is over, and when it would be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub limit: Arc<str>,
    pub wait_ns: u64,
}

impl RateLimit {
    /// Faults are `path.field: message`.
    pub fn compile(definition: &document::RateLimit, path: &str, faults: &mut Vec<String>) -> Option<RateLimit> {
        let before = faults.len();
        let interval_ns = (definition.period_ms.saturating_mul(1_000_000)).checked_div(definition.requests);
        if interval_ns.is_none_or(|interval| interval == 0) {
            let (requests, period_ms) = (definition.requests, definition.period_ms);
            faults.push(format!("{path}.requests: {requests} in {period_ms} ms is not between 1 a period and 1 a ns"));
        }
        let depth_ns = interval_ns.and_then(|interval| interval.checked_mul(u64::from(definition.burst)));
        if definition.burst == 0 || depth_ns.is_none_or(|depth| depth > LONGEST_FILL_NS) {
            let burst = definition.burst;
            faults.push(format!("{path}.burst: {burst} is not between 1 and what comes in a hundred years"));
        }
        if !(1..=MOST_KEYS).contains(&definition.max_keys) {
            faults.push(format!("{path}.max_keys: {} is not between 1 and {MOST_KEYS}", definition.max_keys));
        }
        let (Some(interval_ns), Some(depth_ns), true) = (interval_ns, depth_ns, faults.len() == before) else {
            return None;
        };
        let keys = if definition.key.is_none() { 1 } else { definition.max_keys as usize };
        Some(RateLimit {
            name: definition.name.as_str().into(),
            definition: definition.clone(),
            rule: Rule { interval_ns, depth_ns },
            buckets: Buckets::new(keys),
            refused: AtomicU64::new(0),
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key of what a request has; `None`: it lacks what requests are told apart by.
    pub fn key(&self, bytes: Option<&[u8]>) -> Key {
        self.buckets.key(bytes)
    }

    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    fn charge(&self, key: Key, now_ns: u64) -> Result<Place, Refusal> {
        self.buckets.charge(key, self.rule, now_ns).map_err(|wait_ns| {
            self.refused.fetch_add(1, Relaxed);
            Refusal { limit: self.name.clone(), wait_ns }
        })
    }

    fn refund(&self, place: Place) {
        self.buckets.refund(place, self.rule);
    }
}

/// Charges every limit, or none: the first in their order that is exceeded refuses, and those before it get theirs back.
/// At most twice `MOST_LIMITS` count.
pub fn charge_all<'l>(
    limits: impl Iterator<Item = &'l Applied> + Clone,
    key: impl Fn(&Applied) -> Key,
    now_ns: u64,
) -> Result<(), Refusal> {
    let mut charged = [None; 2 * MOST_LIMITS];
    for (applied, place) in limits.clone().zip(&mut charged) {
        match applied.limit.charge(key(applied), now_ns) {
            Ok(at) => *place = Some(at),
            Err(refusal) => {
                let places = charged.into_iter().flatten();
                limits.zip(places).for_each(|(applied, place)| applied.limit.refund(place));
                return Err(refusal);
            }
        }
    }
    Ok(())
}

/// The limits of a snapshot, by their number in its document, and the claims that they need of a token. `former` hands on
/// those that are still defined the same. Faults are `path: message`.
pub fn compile(
    definitions: &[document::RateLimit],
    former: &[Applied],
    faults: &mut Vec<String>,
) -> (Vec<Applied>, Vec<String>) {
    let (mut limits, mut claims): (Vec<Applied>, Vec<String>) = (Vec::new(), Vec::new());
    for (index, definition) in definitions.iter().enumerate() {
        let path = format!("rate_limits[{index}]");
        if definitions[..index].iter().any(|other| other.name == definition.name) {
            faults.push(format!("{path}.name: `{}` is the name of an earlier limit", definition.name));
        }
        let kept = former.iter().map(|former| &former.limit).find(|former| former.definition == *definition);
        let fresh = || RateLimit::compile(definition, &path, faults).map(Arc::new);
        let Some(limit) = kept.cloned().or_else(fresh) else { continue };
        let of = match &definition.key {
            None => Of::Everybody,
            Some(RateKey::Source) => Of::Source,
            Some(RateKey::Header(name)) => Of::Header(name.to_ascii_lowercase().into()),
            Some(RateKey::Claim(claim)) => Of::Claim(number(&mut claims, claim)),
        };
        limits.push(Applied { of, limit });
    }
    (limits, claims)
}

/// The limits that a route or method names, each once.
pub fn select(known: &[Applied], names: &[String], path: &str, faults: &mut Vec<String>) -> Box<[Applied]> {
    let mut selected: Vec<Applied> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        match known.iter().find(|applied| applied.limit.name() == name) {
            None => faults.push(format!("{path}.rate_limits[{index}]: there is no rate limit {name:?}")),
            Some(_) if names[..index].contains(name) => {}
            Some(applied) => selected.push(applied.clone()),
        }
    }
    if selected.len() > MOST_LIMITS {
        faults.push(format!("{path}.rate_limits: {} are more than {MOST_LIMITS}", selected.len()));
    }
    selected.into()
}

fn number(claims: &mut Vec<String>, claim: &str) -> usize {
    claims.iter().position(|known| known == claim).unwrap_or_else(|| {
        claims.push(claim.to_owned());
        claims.len() - 1
    })
}
