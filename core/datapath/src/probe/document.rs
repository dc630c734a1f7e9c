//! What is to be probed, as JSON.

use crate::snapshot::document::KeyPair;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub targets: Vec<Target>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// What observations are called by.
    pub name: String,
    pub kind: Kind,
    /// `host:port`, `[::1]:port` or `unix:///path`. A host that is no address is looked up.
    pub address: String,
    /// Absent: cleartext.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// `:authority` or Host; empty: the address.
    #[serde(default)]
    pub authority: String,
    /// The service that `grpc.health.v1` is asked for; empty: the server as a whole.
    #[serde(default)]
    pub service: String,
    /// What is asked for over HTTP.
    #[serde(default = "root")]
    pub path: String,
    /// Sent along, names in any case.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    pub user_agent: String,
    /// Inclusive ranges of HTTP statuses that are healthy.
    #[serde(default = "successes")]
    pub expected_statuses: Vec<(u16, u16)>,
    /// Compresses the question, and so allows a compressed answer.
    #[serde(default)]
    pub gzip: bool,
    /// For looking up the name, connecting, TLS and HTTP/2's SETTINGS together.
    pub connect_timeout_ms: u64,
    /// From the question to the answer.
    pub answer_timeout_ms: u64,
    /// Reports every change until stopped: by `Watch` where that is served, else by asking again each interval.
    #[serde(default)]
    pub watch: bool,
    #[serde(default = "second")]
    pub interval_ms: u64,
    /// Between two rounds of a server that passes, while whoever probes has no calls for it. [`super::prober`] alone heeds it.
    #[serde(default = "minute")]
    pub quiet_interval_ms: u64,
    /// How far an interval is varied to either side, in percent of itself.
    #[serde(default = "tenth")]
    pub jitter_percent: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `grpc.health.v1`.
    Grpc,
    /// GET over whatever ALPN agrees on; HTTP/1.1 in cleartext.
    Http,
    Http1,
    Http2,
    /// A connection (and TLS, where asked for) is all that is wanted.
    Tcp,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Certificates to trust; needed unless `verify` is false.
    #[serde(default)]
    pub ca_pem: Option<String>,
    #[serde(default)]
    pub client: Option<KeyPair>,
    /// Absent: none is sent. May be absent only where `verify` is false.
    #[serde(default)]
    pub server_name: Option<String>,
    /// False: whatever certificate the server shows is taken.
    #[serde(default = "yes")]
    pub verify: bool,
}

fn root() -> String {
    "/".into()
}

fn successes() -> Vec<(u16, u16)> {
    vec![(200, 399)]
}

fn second() -> u64 {
    1_000
}

fn minute() -> u64 {
    60_000
}

fn tenth() -> u64 {
    10
}

fn yes() -> bool {
    true
}
