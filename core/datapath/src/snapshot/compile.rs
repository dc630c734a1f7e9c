//! From a document to what the workers read.

use super::document::{self, Document, Limits, RetryOn};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// Where a socket binds or connects to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Address {
    /// `host:port` with a literal address, or `unix:///path`.
    pub fn parse(text: &str) -> Result<Address, String> {
        if let Some(path) = text.strip_prefix("unix://") {
            if !path.starts_with('/') {
                return Err(format!("`{text}`: the path of a Unix socket is absolute, as in unix:///run/app.sock"));
            }
            return Ok(Address::Unix(path.into()));
        }
        text.parse().map(Address::Tcp).map_err(|_| {
            format!("`{text}` is no address: expected 127.0.0.1:8080, [::1]:8080 or unix:///path (names are resolved before)")
        })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Tcp(address) => write!(formatter, "{address}"),
            Address::Unix(path) => write!(formatter, "unix://{}", path.display()),
        }
    }
}

#[derive(Debug)]
pub struct Backend {
    pub name: String,
    pub endpoints: Vec<(Address, u32)>,
    pub authority: Option<String>,
    pub retry_attempts: u32,
    pub retry_on: Vec<RetryOn>,
    pub connect_timeout_ms: u64,
    pub max_connections: usize,
    pub max_pending: usize,
    pub keepalive_time_ms: u64,
    pub keepalive_timeout_ms: u64,
}

/// Immutable; shared by all workers.
#[derive(Debug)]
pub struct Snapshot {
    pub version: String,
    pub limits: Limits,
    pub backends: Vec<Arc<Backend>>,
    pub listeners: Vec<document::Listener>,
    pub xff_trusted_hops: u32,
}

impl Snapshot {
    /// All faults at once, as `path: message`.
    pub fn compile(document: Document) -> Result<Snapshot, Vec<String>> {
        let mut faults = Vec::new();
        let backends = document
            .backends
            .iter()
            .enumerate()
            .map(|(index, backend)| Arc::new(compile_backend(backend, &format!("backends[{index}]"), &mut faults)))
            .collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Snapshot {
            version: document.version,
            limits: document.limits,
            backends,
            listeners: document.listeners,
            xff_trusted_hops: document.xff_trusted_hops,
        })
    }
}

/// Endpoints of a backend as discovery reports them.
pub fn compile_endpoints(
    endpoints: &[document::Endpoint],
    path: &str,
    faults: &mut Vec<String>,
) -> Vec<(Address, u32)> {
    let mut compiled = Vec::with_capacity(endpoints.len());
    for (index, endpoint) in endpoints.iter().enumerate() {
        match Address::parse(&endpoint.address) {
            Ok(Address::Tcp(address)) if address.port() == 0 => {
                faults.push(format!("{path}.endpoints[{index}].address: `{address}` has port 0, which nobody serves on"));
            }
            Ok(address) => compiled.push((address, endpoint.weight)),
            Err(fault) => faults.push(format!("{path}.endpoints[{index}].address: {fault}")),
        }
    }
    compiled
}

fn compile_backend(backend: &document::Backend, path: &str, faults: &mut Vec<String>) -> Backend {
    Backend {
        name: backend.name.clone(),
        endpoints: compile_endpoints(&backend.endpoints, path, faults),
        authority: backend.authority.clone(),
        retry_attempts: backend.retry.attempts,
        retry_on: backend.retry.on.clone(),
        connect_timeout_ms: backend.connect_timeout_ms,
        max_connections: backend.max_connections.max(1) as usize,
        max_pending: backend.max_pending as usize,
        keepalive_time_ms: backend.keepalive_time_ms,
        keepalive_timeout_ms: backend.keepalive_timeout_ms,
    }
}
