//! A target, checked: nothing of it can fail later but what the server does.

use super::document::{Kind, Request, Target, Tls};
use super::health::{CHECK, WATCH};
use super::messages::question;
use super::observation::{OUTCOMES, Outcome};
use crate::http1::is_valid_authority;
use crate::http2::hpack::HeaderList;
use crate::tls::{ClientSettings, probe_settings};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// Targets of one request.
const MOST_TARGETS: usize = 1_000;
/// A service's name, and all headers together.
const MOST_TEXT: usize = 8 << 10;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// A header field: name and value.
pub(super) type Field = (Vec<u8>, Vec<u8>);

/// Where a server may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    Address(SocketAddr),
    /// To be looked up.
    Name(String, u16),
    Unix(PathBuf),
}

impl Host {
    /// Reads `host:port`, `[::1]:port` or `unix:///path`.
    pub fn parse(text: &str) -> Result<Host, String> {
        parse_host(text)
    }

    fn authority(&self) -> String {
        match self {
            Host::Address(address) => address.to_string(),
            Host::Name(name, port) => format!("{name}:{port}"),
            Host::Unix(_) => "localhost".into(),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Plan {
    pub name: String,
    pub kind: Kind,
    pub host: Host,
    pub(super) tls: Option<ClientSettings>,
    authority: String,
    /// The authority is that of the address.
    follows_address: bool,
    path: String,
    /// Names in lower case; ours, then those that were asked for.
    fields: Vec<Field>,
    pub(super) question: Vec<u8>,
    pub(super) expected_statuses: Vec<(u16, u16)>,
    pub(super) gzip: bool,
    pub(super) connect_timeout_ms: u64,
    pub(super) answer_timeout_ms: u64,
    pub(super) watch: bool,
    pub(super) interval_ms: u64,
    pub(super) quiet_interval_ms: u64,
    pub(super) jitter_percent: u64,
    pub(super) shared: Arc<Shared>,
}

/// What all plans that were made of one by `at` have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// There are no calls for these servers.
    pub(super) quiet: AtomicBool,
    /// Findings by `Outcome`.
    pub(super) counts: [AtomicU64; OUTCOMES.len()],
}

/// Reads a request. Errors: every fault at once, as `targets[0].path: message`.
pub fn compile(json: &[u8]) -> Result<Vec<Plan>, Vec<String>> {
    let request: Request = serde_json::from_slice(json).map_err(|error| vec![error.to_string()])?;
    if request.targets.is_empty() || request.targets.len() > MOST_TARGETS {
        return Err(vec![format!("targets: from 1 to {MOST_TARGETS} of them")]);
    }
    let (mut plans, mut faults) = (Vec::new(), Vec::new());
    for (index, target) in request.targets.into_iter().enumerate() {
        match Plan::new(target, &format!("targets[{index}]")) {
            Ok(plan) => plans.push(plan),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok(plans) } else { Err(faults) }
}

impl Plan {
    /// `place` is where the target stands in its document.
    pub fn new(target: Target, place: &str) -> Result<Plan, Vec<String>> {
        let mut faults = Vec::new();
        let mut note = |field: &str, message: String| faults.push(format!("{place}.{field}: {message}"));

        let host = parse_host(&target.address);
        if let Err(message) = &host {
            note("address", message.clone());
        }
        let follows_address = target.authority.is_empty();
        let authority = match &host {
            Ok(host) if follows_address => host.authority(),
            _ => target.authority.clone(),
        };
        if !follows_address && !is_valid_authority(authority.as_bytes()) {
            note("authority", format!("{authority:?} is no host with or without a port"));
        }
        if target.service.len() > MOST_TEXT {
            note("service", format!("longer than {MOST_TEXT} bytes"));
        }
        let printable = target.path.bytes().all(|byte| (b'!'..=b'~').contains(&byte) && byte != b'#');
        if !target.path.starts_with('/') || !printable || target.path.len() > MOST_TEXT {
            note("path", format!("{:?} is no path of a URL: it begins with / and has no blanks", target.path));
        }
        let fields = fields(&target).unwrap_or_else(|message| {
            note("headers", message);
            Vec::new()
        });
        let is_range = |&(first, last): &(u16, u16)| 100 <= first && first <= last && last <= 999;
        if target.expected_statuses.is_empty() || !target.expected_statuses.iter().all(is_range) {
            note("expected_statuses", "expected ranges of statuses from 100 to 999".into());
        }
        for (field, value) in [
            ("connect_timeout_ms", target.connect_timeout_ms),
            ("answer_timeout_ms", target.answer_timeout_ms),
            ("interval_ms", target.interval_ms),
            ("quiet_interval_ms", target.quiet_interval_ms),
        ] {
            if !(1..=DAY_MS).contains(&value) {
                note(field, "more than nothing and no more than a day".into());
            }
        }
        if target.jitter_percent > 100 {
            note("jitter_percent", "no more than 100".into());
        }
        let tls = target.tls.as_ref().map(|tls| settings(tls, target.kind, &format!("{place}.tls"))).transpose();
        match (host, tls) {
            (Ok(host), Ok(tls)) if faults.is_empty() => Ok(Plan {
                name: target.name,
                kind: target.kind,
                host,
                tls,
                authority,
                follows_address,
                path: target.path,
                fields,
                question: question(&target.service, target.gzip),
                expected_statuses: target.expected_statuses,
                gzip: target.gzip,
                connect_timeout_ms: target.connect_timeout_ms,
                answer_timeout_ms: target.answer_timeout_ms,
                watch: target.watch,
                interval_ms: target.interval_ms,
                quiet_interval_ms: target.quiet_interval_ms,
                jitter_percent: target.jitter_percent,
                shared: Arc::default(),
            }),
            (_, tls) => {
                faults.extend(tls.err().into_iter().flatten());
                Err(faults)
            }
        }
    }

    /// How many findings of a prober there were of each outcome, over all servers.
    pub fn counts(&self) -> impl Iterator<Item = (Outcome, u64)> + '_ {
        OUTCOMES.iter().zip(&self.shared.counts).map(|(&outcome, count)| (outcome, count.load(Relaxed)))
    }

    /// The same question for another server; TLS sessions and certificates are shared.
    pub fn at(&self, name: &str, host: Host) -> Plan {
        let authority = if self.follows_address { host.authority() } else { self.authority.clone() };
        Plan { name: name.to_owned(), host, authority, ..self.clone() }
    }

    /// Whether watching this target is done by `Watch`.
    pub(super) fn has_watch(&self) -> bool {
        self.watch && self.kind == Kind::Grpc
    }

    pub(super) fn http1_request(&self) -> Vec<u8> {
        super::http1::request(&self.path, &self.authority, &self.fields)
    }

    pub(super) fn get_fields(&self) -> Vec<Field> {
        let mut fields = self.pseudo_fields("GET", &self.path);
        fields.extend_from_slice(&self.fields);
        fields
    }

    pub(super) fn health_fields(&self, watch: bool) -> Vec<Field> {
        let mut fields = self.pseudo_fields("POST", if watch { WATCH } else { CHECK });
        let mut add = |name: &str, value: &str| fields.push((name.into(), value.into()));
        add("content-type", "application/grpc");
        add("te", "trailers");
        if self.gzip {
            add("grpc-encoding", "gzip");
            add("grpc-accept-encoding", "gzip");
        }
        if !watch {
            add("grpc-timeout", &grpc_timeout(self.answer_timeout_ms));
        }
        fields.extend_from_slice(&self.fields);
        fields
    }

    fn pseudo_fields(&self, method: &str, path: &str) -> Vec<Field> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let fields = [(":method", method), (":scheme", scheme), (":path", path), (":authority", &self.authority)];
        fields.map(|(name, value)| (name.into(), value.into())).to_vec()
    }
}

/// At most eight digits (gRPC over HTTP/2, "Timeout").
fn grpc_timeout(ms: u64) -> String {
    if ms < 100_000_000 { format!("{ms}m") } else { format!("{}S", ms / 1_000) }
}

/// `host:port`, `[::1]:port`, `unix:///path`.
fn parse_host(text: &str) -> Result<Host, String> {
    if let Some(path) = text.strip_prefix("unix://") {
        return match path.starts_with('/') {
            true => Ok(Host::Unix(path.into())),
            false => Err(format!("`{text}`: the path of a Unix socket is absolute, as in unix:///run/app.sock")),
        };
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return if address.port() == 0 { Err("port 0".into()) } else { Ok(Host::Address(address)) };
    }
    let wrong = || format!("`{text}` is no address: expected host:port, [::1]:port or unix:///path");
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().ok().filter(|&port| port > 0 && text.is_ascii());
    match port {
        Some(port) if !host.is_empty() && !host.contains([':', '/', '[', ']', '@', ' ']) => {
            Ok(Host::Name(host.to_owned(), port))
        }
        _ => Err(wrong()),
    }
}

fn fields(target: &Target) -> Result<Vec<Field>, String> {
    const OURS: [&str; 9] = [
        "host",
        "connection",
        "content-length",
        "content-type",
        "te",
        "transfer-encoding",
        "upgrade",
        "grpc-encoding",
        "grpc-timeout",
    ];
    let mut checked = HeaderList::default();
    let mut fields = Vec::new();
    let agent = ("user-agent".to_owned(), target.user_agent.clone());
    for (name, value) in std::iter::once(&agent).chain(&target.headers) {
        let name = name.to_ascii_lowercase();
        if OURS.contains(&name.as_str()) {
            return Err(format!("{name} is set by the probe itself"));
        }
        if name.starts_with(':') || !checked.push(name.as_bytes(), value.as_bytes()) {
            return Err(format!("{name:?}: {value:?} is no header field"));
        }
        fields.push((name.into_bytes(), value.clone().into_bytes()));
    }
    let bytes: usize = fields.iter().map(|(name, value): &Field| name.len() + value.len()).sum();
    if bytes > MOST_TEXT { Err(format!("more than {MOST_TEXT} bytes")) } else { Ok(fields) }
}

fn settings(tls: &Tls, kind: Kind, place: &str) -> Result<ClientSettings, Vec<String>> {
    let protocols: &[&[u8]] = match kind {
        Kind::Grpc | Kind::Http2 => &[b"h2"],
        // Servers that insist on ALPN mostly want one of these.
        Kind::Http | Kind::Tcp => &[b"h2", b"http/1.1"],
        Kind::Http1 => &[b"http/1.1"],
    };
    let document = crate::snapshot::document::ClientTls {
        ca_pem: tls.ca_pem.clone(),
        client: tls.client.clone(),
        server_name: tls.server_name.clone(),
        verify: tls.verify,
    };
    probe_settings(&document, place, protocols)
}
