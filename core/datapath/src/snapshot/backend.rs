//! From a backend of the document to what pools of connections read.

use super::Address;
use super::document::{self, BalancePolicy, CircuitBreakers, HashOn};
use crate::admission::gradient;
use crate::balance::Policy;
use crate::balance::priority::Rules;
use crate::balance::slow_start::SlowStart;
use crate::balance::spread::Plan;
use crate::tls::{ClientSettings, client_settings};
use crate::upstream::retry::Policy as RetryPolicy;
use std::sync::Arc;

/// An endpoint as discovery reports it. Weight 0 takes no new requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    pub address: Address,
    pub weight: u32,
    pub priority: u32,
    pub distance: u32,
}

pub struct Backend {
    pub name: String,
    pub endpoints: Vec<Endpoint>,
    pub plan: Plan,
    pub hash_on: Option<HashOn>,
    pub slow_start: Option<SlowStart>,
    /// Failures of one endpoint in a row that are told of; 0: none are.
    pub outlier_errors: u32,
    pub adaptive_concurrency: Option<gradient::Settings>,
    pub authority: Option<String>,
    pub(crate) retry: Arc<RetryPolicy>,
    pub breakers: CircuitBreakers,
    pub connect_timeout_ms: u64,
    pub max_connections: usize,
    pub keepalive_time_ms: u64,
    pub keepalive_timeout_ms: u64,
    pub drain_timeout_ms: Option<u64>,
    pub tls: Option<ClientSettings>,
}

/// Endpoints of a backend as discovery reports them.
pub fn compile_endpoints(endpoints: &[document::Endpoint], path: &str, faults: &mut Vec<String>) -> Vec<Endpoint> {
    let mut compiled = Vec::with_capacity(endpoints.len());
    for (index, endpoint) in endpoints.iter().enumerate() {
        match Address::parse(&endpoint.address) {
            Ok(Address::Tcp(address)) if address.port() == 0 => {
                faults
                    .push(format!("{path}.endpoints[{index}].address: `{address}` has port 0, which nobody serves on"));
            }
            Ok(address) => {
                let document::Endpoint { weight, priority, distance, .. } = *endpoint;
                compiled.push(Endpoint { address, weight, priority, distance });
            }
            Err(fault) => faults.push(format!("{path}.endpoints[{index}].address: {fault}")),
        }
    }
    compiled
}

pub(super) fn compile_backend(backend: &document::Backend, path: &str, faults: &mut Vec<String>) -> Backend {
    let tls = match backend.tls.as_ref().map(|tls| client_settings(tls, &format!("{path}.tls"))) {
        Some(Err(mut own)) => {
            faults.append(&mut own);
            None
        }
        Some(Ok(settings)) => Some(settings),
        None => None,
    };
    let balance = &backend.balance;
    let policy = match balance.policy {
        BalancePolicy::RoundRobin => Policy::RoundRobin,
        BalancePolicy::LeastRequest => Policy::LeastRequest,
        BalancePolicy::Random => Policy::Random,
        BalancePolicy::RingHash => Policy::RingHash,
        BalancePolicy::Maglev => Policy::Maglev,
    };
    if policy.hashes() != balance.hash_on.is_some() {
        let message = "ring-hash and maglev need what to hash, the others have no use for it";
        faults.push(format!("{path}.balance.hash_on: {message}"));
    }
    let factor = balance.hash_balance_factor_percent;
    if factor != 0 && (!policy.hashes() || factor < 100) {
        let message = "is for ring-hash and maglev, and at least 100";
        faults.push(format!("{path}.balance.hash_balance_factor_percent: {message}"));
    }
    if balance.slow_start.is_some() && policy.hashes() {
        let message = "ring-hash and maglev have none: with each change of weights, hashes would change endpoints";
        faults.push(format!("{path}.balance.slow_start: {message}"));
    }
    let concurrency = backend.adaptive_concurrency.as_ref();
    Backend {
        name: backend.name.clone(),
        adaptive_concurrency: concurrency.and_then(|settings| compile_concurrency(settings, path, faults)),
        plan: Plan {
            policy,
            rules: Rules {
                overprovisioning: balance.priorities.overprovisioning_percent.max(100),
                panic_threshold: balance.priorities.panic_threshold_percent.min(100),
            },
            balance_factor: factor,
        },
        outlier_errors: backend.outlier_errors,
        hash_on: balance.hash_on.clone(),
        slow_start: balance
            .slow_start
            .map(|slow| SlowStart::new(slow.window_ms, slow.aggression_percent, slow.min_weight_percent)),
        endpoints: compile_endpoints(&backend.endpoints, path, faults),
        authority: backend.authority.clone(),
        retry: Arc::new(RetryPolicy::compile(&backend.retry, &format!("{path}.retry"), faults)),
        breakers: backend.circuit_breakers,
        connect_timeout_ms: backend.connect_timeout_ms,
        max_connections: backend.max_connections.max(1) as usize,
        keepalive_time_ms: backend.keepalive_time_ms,
        keepalive_timeout_ms: backend.keepalive_timeout_ms,
        drain_timeout_ms: backend.drain_timeout_ms,
        tls,
    }
}

fn compile_concurrency(
    settings: &document::AdaptiveConcurrency,
    path: &str,
    faults: &mut Vec<String>,
) -> Option<gradient::Settings> {
    let document::AdaptiveConcurrency { minimum, maximum, initial, tolerance_percent } = *settings;
    if minimum == 0 || minimum > initial || initial > maximum {
        let message = format!("expected 1 <= minimum <= initial <= maximum, found {minimum}, {initial}, {maximum}");
        faults.push(format!("{path}.adaptive_concurrency: {message}"));
        return None;
    }
    if !(105..=1000).contains(&tolerance_percent) {
        let message = format!("{tolerance_percent} is not between 105 and 1000");
        faults.push(format!("{path}.adaptive_concurrency.tolerance_percent: {message}"));
        return None;
    }
    Some(gradient::Settings { minimum, maximum, initial, tolerance_percent })
}
