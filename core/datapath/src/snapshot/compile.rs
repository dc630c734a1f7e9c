//! From a document to what the workers read.

use super::backend::compile_backend;
use super::document::{self, Document, Limits};
use super::retries::Retries;
use super::{Address, Backend};
use crate::admission::rate_limit::{self, Applied};
use crate::authenticate::decide::{Authenticator, CompiledAccess};
use crate::authenticate::store::KeyStore;
use crate::route::table::Table;
use crate::tls::server_config;
use crate::transcode::descriptors::Descriptors;
use base64::Engine;
use rustls::ServerConfig;
use std::sync::Arc;

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
    pub healthz_path: Option<String>,
    pub descriptors: Descriptors,
    pub table: Table,
    pub rejects_unknown: bool,
    pub authenticator: Authenticator,
    /// Shared with the former snapshot for providers that it had too.
    pub keys: KeyStore,
    /// By the table's numbers of methods and routes.
    pub method_access: Vec<CompiledAccess>,
    pub route_access: Vec<CompiledAccess>,
    /// By their numbers in the document.
    pub rate_limits: Vec<Applied>,
    /// Whether any route or method names one.
    pub limits_rates: bool,
    /// By the table's numbers of methods and routes.
    method_limits: Vec<Box<[Applied]>>,
    route_limits: Vec<Box<[Applied]>>,
    pub hold_timeout_ms: u64,
    pub max_held: usize,
    /// A plain proxy: every request goes to this backend, unread.
    pub only_backend: Option<u32>,
    pub only_timeout_ms: u64,
    /// Where requests have a policy of retries or limits that have to be watched.
    pub(crate) retries: Option<Retries>,
    pub access_log: document::AccessLog,
    /// Query parameters that hold tokens.
    pub secret_parameters: Vec<String>,
    method_timeouts_ms: Vec<Option<u64>>,
    route_times: Vec<RouteTimes>,
}

/// Milliseconds; 0 is none.
#[derive(Debug, Clone, Copy, Default)]
struct RouteTimes {
    timeout: u64,
    idle: u64,
    most: u64,
}

/// What is wrong with a snapshot's JSON: all faults at once, as `path: message`.
pub fn check(document: &[u8]) -> Vec<String> {
    Document::read(document).and_then(|document| Snapshot::compile(document, None)).err().unwrap_or_default()
}

impl Snapshot {
    /// All faults at once, as `path: message`. `former` hands on the keys that it holds.
    pub fn compile(document: Document, former: Option<&Snapshot>) -> Result<Snapshot, Vec<String>> {
        let mut faults = Vec::new();
        let backends: Vec<Arc<Backend>> = document
            .backends
            .iter()
            .enumerate()
            .map(|(index, backend)| Arc::new(compile_backend(backend, &format!("backends[{index}]"), &mut faults)))
            .collect();
        let (descriptors, table) = compile_table(&document, &mut faults);
        let mut authenticator = take(Authenticator::compile(&document.authentication), &mut faults);
        let kept = former.map_or(&[][..], |former| &former.rate_limits);
        let (rate_limits, claims) = rate_limit::compile(&document.rate_limits, kept, &mut faults);
        if let Some(authenticator) = &mut authenticator {
            authenticator.tell_apart_by(claims);
        }
        let mut limits_of =
            |path: String, names: &[String]| rate_limit::select(&rate_limits, names, &path, &mut faults);
        let methods = document.methods.iter().enumerate();
        let method_limits: Vec<_> =
            methods.map(|(index, method)| limits_of(format!("methods[{index}]"), &method.rate_limits)).collect();
        let routes = document.routes.iter().enumerate();
        let route_limits: Vec<_> =
            routes.map(|(index, route)| limits_of(format!("routes[{index}]"), &route.rate_limits)).collect();
        let limits_rates = method_limits.iter().chain(&route_limits).any(|limits| !limits.is_empty());
        let (mut method_access, mut route_access) = (Vec::new(), Vec::new());
        if let Some(authenticator) = &authenticator {
            for (index, method) in document.methods.iter().enumerate() {
                let path = format!("methods[{index}].access");
                method_access.extend(take(authenticator.compile_access(&method.access, &path), &mut faults));
            }
            for (index, route) in document.routes.iter().enumerate() {
                let path = format!("routes[{index}].access");
                route_access.extend(take(authenticator.compile_access(&route.access, &path), &mut faults));
            }
        }
        let method_timeouts_ms = document.methods.iter().map(|method| method.timeout_ms).collect();
        let times = |route: &document::Route| RouteTimes {
            timeout: route.timeout_ms,
            idle: route.idle_timeout_ms,
            most: route.max_timeout_ms,
        };
        let route_times: Vec<RouteTimes> = document.routes.iter().map(times).collect();
        let retries = Retries::compile(&document, &backends, &mut faults);
        let listeners = compile_listeners(document.listeners, &mut faults);
        check_limits(&document.limits, &mut faults);
        let (Some((descriptors, table)), Some(authenticator), true) =
            (descriptors.zip(table), authenticator, faults.is_empty())
        else {
            return Err(faults);
        };
        let plain = document.methods.is_empty()
            && document.descriptors.is_empty()
            && document.unknown_methods == document::UnknownMethods::Pass;
        let open = route_access.iter().all(CompiledAccess::is_open) && document.healthz_path.is_none();
        let patient = route_times.iter().all(|times| times.idle == 0 && times.most == 0);
        Ok(Snapshot {
            version: document.version,
            limits: document.limits,
            backends,
            listeners,
            xff_trusted_hops: document.xff_trusted_hops,
            healthz_path: document.healthz_path,
            only_backend: table.only_backend().filter(|_| plain && open && patient && !limits_rates),
            only_timeout_ms: route_times.first().map_or(0, |times| times.timeout),
            retries,
            descriptors,
            table,
            rejects_unknown: document.unknown_methods == document::UnknownMethods::Reject,
            keys: KeyStore::new(authenticator.providers(), former.map(|former| &former.keys)),
            authenticator,
            method_access,
            route_access,
            rate_limits,
            limits_rates,
            method_limits,
            route_limits,
            hold_timeout_ms: document.authentication.hold_timeout_ms,
            max_held: document.authentication.max_held as usize,
            access_log: document.access_log,
            secret_parameters: document
                .authentication
                .providers
                .iter()
                .flat_map(|provider| &provider.locations)
                .filter_map(|location| match location {
                    document::Location::Query { name } => Some(name.clone()),
                    _ => None,
                })
                .collect(),
            method_timeouts_ms,
            route_times,
        })
    }

    /// For calls that say none themselves; 0 is none.
    pub fn timeout_ms(&self, method: Option<u32>, route: Option<u32>, transcoded: bool) -> u64 {
        let own = method.and_then(|index| *self.method_timeouts_ms.get(index as usize)?);
        let route = self.times(route).timeout;
        own.unwrap_or(match (route, transcoded) {
            (0, true) => self.limits.transcoded_timeout_ms,
            (route, _) => route,
        })
    }

    /// The window that streams get: what one may cost, less what its connection's output buffer may hold of it.
    pub fn stream_window(&self) -> u32 {
        self.limits.stream_window_bytes.saturating_sub(OUTPUT_SHARE).max(SMALLEST_WINDOW)
    }

    /// The rate limits of a request's route, then those of its method, each once.
    pub fn limits(&self, method: Option<u32>, route: Option<u32>) -> impl Iterator<Item = &Applied> + Clone {
        fn named(all: &[Box<[Applied]>], index: Option<u32>) -> &[Applied] {
            index.and_then(|index| all.get(index as usize)).map_or(&[], |limits| limits)
        }
        let (route, method) = (named(&self.route_limits, route), named(&self.method_limits, method));
        let again = |own: &&Applied| route.iter().any(|other| Arc::ptr_eq(&own.limit, &other.limit));
        route.iter().chain(method.iter().filter(move |own| !again(own)))
    }

    pub fn idle_timeout_ms(&self, route: Option<u32>) -> u64 {
        self.times(route).idle
    }

    /// For all calls, whatever they say themselves; 0 is none.
    pub fn max_timeout_ms(&self, route: Option<u32>) -> u64 {
        self.times(route).most
    }

    fn times(&self, route: Option<u32>) -> RouteTimes {
        route.and_then(|index| self.route_times.get(index as usize)).copied().unwrap_or_default()
    }
}

/// The output buffer's high-water mark and one frame beyond it.
const OUTPUT_SHARE: u32 = 80 << 10;
/// A window below one frame would make every message wait for credit.
const SMALLEST_WINDOW: u32 = 16 << 10;

fn take<T>(result: Result<T, Vec<String>>, faults: &mut Vec<String>) -> Option<T> {
    result.map_err(|mut own| faults.append(&mut own)).ok()
}

fn compile_table(document: &Document, faults: &mut Vec<String>) -> (Option<Descriptors>, Option<Table>) {
    let mut sets = Vec::new();
    for (index, set) in document.descriptors.iter().enumerate() {
        match base64::engine::general_purpose::STANDARD.decode(set) {
            Ok(bytes) => sets.push(bytes),
            Err(error) => faults.push(format!("descriptors[{index}]: not base64: {error}")),
        }
    }
    let Some(descriptors) = take(Descriptors::build(&sets), faults) else { return (None, None) };
    let table = take(Table::compile(document, &descriptors), faults);
    (Some(descriptors), table)
}

/// Limits that would make every request fail.
fn check_limits(limits: &Limits, faults: &mut Vec<String>) {
    const LARGEST_WINDOW: u32 = i32::MAX as u32;
    for (name, value, least) in [
        ("stream_window_bytes", limits.stream_window_bytes, 16_384),
        ("connection_window_bytes", limits.connection_window_bytes, 65_535),
        ("max_header_bytes", limits.max_header_bytes, 1_024),
        ("max_line_bytes", limits.max_line_bytes, 64),
        ("max_headers", limits.max_headers, 16),
        ("max_concurrent_streams", limits.max_concurrent_streams, 1),
    ] {
        if !(least..=LARGEST_WINDOW).contains(&value) {
            faults.push(format!("limits.{name}: {value} is not between {least} and {LARGEST_WINDOW}"));
        }
    }
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
