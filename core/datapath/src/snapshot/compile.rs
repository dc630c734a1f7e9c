//! From a document to what the workers read.

use super::document::{self, Document, Limits, RetryOn};
use crate::tls::{ClientSettings, client_settings, server_config};
use rustls::ServerConfig;
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
    pub tls: Option<ClientSettings>,
}

pub struct Listener {
    pub name: String,
    pub address: String,
    pub tls: Option<Arc<ServerConfig>>,
}

/// Immutable; shared by all workers.
pub struct Snapshot {
    pub version: String,
    pub limits: Limits,
    pub backends: Vec<Arc<Backend>>,
    pub listeners: Vec<Listener>,
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
        let listeners = compile_listeners(document.listeners, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Snapshot {
            version: document.version,
            limits: document.limits,
            backends,
            listeners,
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

fn compile_listeners(listeners: Vec<document::Listener>, faults: &mut Vec<String>) -> Vec<Listener> {
    let mut compiled: Vec<Listener> = Vec::with_capacity(listeners.len());
    for (index, listener) in listeners.into_iter().enumerate() {
        let path = format!("listeners[{index}]");
        if let Err(fault) = Address::parse(&listener.address) {
            faults.push(format!("{path}.address: {fault}"));
        }
        if compiled.iter().any(|other| other.name == listener.name) {
            faults.push(format!("{path}.name: `{}` is the name of an earlier listener", listener.name));
        }
        let tls = match listener.tls.as_ref().map(|tls| server_config(tls, &format!("{path}.tls"))) {
            Some(Err(mut own)) => {
                faults.append(&mut own);
                None
            }
            Some(Ok(config)) => Some(config),
            None => None,
        };
        compiled.push(Listener { name: listener.name, address: listener.address, tls });
    }
    compiled
}

fn compile_backend(backend: &document::Backend, path: &str, faults: &mut Vec<String>) -> Backend {
    let tls = match backend.tls.as_ref().map(|tls| client_settings(tls, &format!("{path}.tls"))) {
        Some(Err(mut own)) => {
            faults.append(&mut own);
            None
        }
        Some(Ok(settings)) => Some(settings),
        None => None,
    };
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
        tls,
    }
}
