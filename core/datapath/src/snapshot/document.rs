//! The snapshot as Python writes it: one JSON document, complete, with nothing left to look up.
//!
//! This file is the contract. Every field has a default that is safe, unknown fields are refused, times are
//! milliseconds and sizes bytes. `super::compile` turns a document into what the request path reads.

use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Shown in `/config`, metrics and the log; no meaning to the core.
    pub version: String,
    pub listeners: Vec<Listener>,
    pub backends: Vec<Backend>,
    /// Tried in order; the first match names the backend. A method's own `backend` outranks them.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// The API surface: gRPC methods that are known by name. Empty together with `unknown_methods: pass` is a plain proxy.
    #[serde(default)]
    pub methods: Vec<Method>,
    #[serde(default)]
    pub unknown_methods: UnknownMethods,
    #[serde(default)]
    pub authentication: Authentication,
    /// Base64 of serialized `google.protobuf.FileDescriptorSet`s. `grpc.health.v1` is added where it is absent.
    #[serde(default)]
    pub descriptors: Vec<String>,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub access_log: AccessLog,
    /// How many proxies in front of us append to `x-forwarded-for` (0: the peer's address is the client's).
    #[serde(default)]
    pub xff_trusted_hops: u32,
    /// An exact path that is answered 200 before authentication while we are not draining (`--healthz`).
    #[serde(default)]
    pub healthz_path: Option<String>,
}

impl Document {
    /// From JSON; what is not of this shape is one fault, `snapshot: message`.
    pub fn read(json: &[u8]) -> Result<Document, Vec<String>> {
        serde_json::from_slice(json).map_err(|error| vec![format!("snapshot: {error}")])
    }

    /// Serves nothing.
    pub fn empty() -> Document {
        Document {
            version: String::new(),
            listeners: Vec::new(),
            backends: Vec::new(),
            routes: Vec::new(),
            methods: Vec::new(),
            unknown_methods: UnknownMethods::Pass,
            authentication: Authentication::default(),
            descriptors: Vec::new(),
            limits: Limits::default(),
            access_log: AccessLog::default(),
            xff_trusted_hops: 0,
            healthz_path: None,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    pub name: String,
    /// `127.0.0.1:8080`, `[::]:8080` or `unix:///run/gateway.sock`; port 0 takes a free one.
    pub address: String,
    #[serde(default)]
    pub tls: Option<ServerTls>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// Chosen by SNI; without SNI, or when none matches, the first.
    pub certificates: Vec<KeyPair>,
    #[serde(default)]
    pub client_ca_pem: Option<String>,
    #[serde(default)]
    pub client_certificate: ClientCertificate,
    #[serde(default)]
    pub minimum_version: TlsVersion,
    #[serde(default = "tls13")]
    pub maximum_version: TlsVersion,
    /// IANA names (`TLS13_AES_128_GCM_SHA256` ...); empty: the library's choice.
    #[serde(default)]
    pub cipher_suites: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyPair {
    pub chain_pem: String,
    pub key_pem: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificate {
    #[default]
    None,
    Optional,
    Required,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
pub enum TlsVersion {
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

fn tls13() -> TlsVersion {
    TlsVersion::Tls13
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backend {
    pub name: String,
    /// What discovery found; may be empty (every request then answers UNAVAILABLE).
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// Replaces the client's `:authority`.
    #[serde(default)]
    pub authority: Option<String>,
    #[serde(default)]
    pub retry: Retry,
    #[serde(default = "five_seconds")]
    pub connect_timeout_ms: u64,
    /// Connections per worker and endpoint; more than one only when the peer's stream limit fills.
    #[serde(default = "sixteen")]
    pub max_connections: u32,
    /// Requests of one worker that wait for a connection; more answer UNAVAILABLE.
    #[serde(default = "thousand")]
    pub max_pending: u32,
    /// PINGs to the backend on connections with streams; 0 is off. gRPC servers refuse less than five minutes.
    #[serde(default)]
    pub keepalive_time_ms: u64,
    #[serde(default = "twenty_seconds")]
    pub keepalive_timeout_ms: u64,
    #[serde(default)]
    pub balance: Balance,
    /// An event is raised when so many calls of one endpoint in a row fail; 0 is off.
    #[serde(default)]
    pub outlier_errors: u32,
}

/// How a backend's endpoints share its requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Balance {
    #[serde(default)]
    pub policy: BalancePolicy,
    /// What `ring-hash` and `maglev` hash; a request that lacks it goes to a random endpoint.
    #[serde(default)]
    pub hash_on: Option<HashOn>,
    #[serde(default)]
    pub priorities: Priorities,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BalancePolicy {
    #[default]
    RoundRobin,
    LeastRequest,
    Random,
    RingHash,
    Maglev,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HashOn {
    /// The value of a header, whose name is in lower case.
    Header(String),
    Cookie(String),
    /// The client's address, as its connection has it.
    Source,
}

/// In hundredths; see `balance::priority`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Priorities {
    pub overprovisioning_percent: u32,
    pub panic_threshold_percent: u32,
}

impl Default for Priorities {
    fn default() -> Self {
        Priorities { overprovisioning_percent: 140, panic_threshold_percent: 50 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// `10.0.0.1:50051`, `[::1]:50051` or `unix:///run/app.sock`; names are resolved before they get here.
    pub address: String,
    #[serde(default = "one")]
    pub weight: u32,
    /// 0 is preferred; the next takes what it cannot carry.
    #[serde(default)]
    pub priority: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientTls {
    /// Certificates to trust; absent: the public roots that Python found on this machine are put here.
    pub ca_pem: Option<String>,
    #[serde(default)]
    pub client: Option<KeyPair>,
    pub server_name: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Attempts after the first.
    #[serde(default = "one")]
    pub attempts: u32,
    #[serde(default = "safe_conditions")]
    pub on: Vec<RetryOn>,
}

impl Default for Retry {
    fn default() -> Self {
        Retry { attempts: 1, on: safe_conditions() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RetryOn {
    ConnectFailure,
    /// REFUSED_STREAM, and streams above the last id of a GOAWAY.
    RefusedStream,
    /// The connection died before response headers: the backend may have acted on the request.
    Reset,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Label in metrics and log.
    pub name: String,
    #[serde(default, rename = "match")]
    pub matcher: Matcher,
    pub backends: Vec<WeightedBackend>,
    /// For calls without a grpc-timeout; 0 is none.
    #[serde(default)]
    pub timeout_ms: u64,
    /// No DATA in either direction for this long ends the call; 0 is off.
    #[serde(default)]
    pub idle_timeout_ms: u64,
    #[serde(default)]
    pub access: Access,
}

/// All that is given must match.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Matcher {
    /// Exact, `*.example.com` or `*`; without the port, lower case. Empty: any.
    #[serde(default)]
    pub authorities: Vec<String>,
    #[serde(default)]
    pub path: Option<String>,
    #[serde(default)]
    pub path_prefix: Option<String>,
    /// `pkg.Service`: gRPC calls and their JSON bindings.
    #[serde(default)]
    pub service: Option<String>,
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub headers: Vec<HeaderMatch>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderMatch {
    pub name: String,
    /// With neither `exact` nor `prefix` the header has to be present.
    #[serde(default)]
    pub exact: Option<String>,
    #[serde(default)]
    pub prefix: Option<String>,
    #[serde(default)]
    pub invert: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightedBackend {
    pub name: String,
    #[serde(default = "one")]
    pub weight: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnknownMethods {
    /// Forward by `routes`, gRPC or not.
    #[default]
    Pass,
    /// 404 `The current request is not defined by this API.`
    Reject,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// `pkg.Service.Method`, the selector of google.api rules, or `pkg.Service.*`: any method of the service that is not
    /// there by name.
    pub name: String,
    /// Outranks `routes` for this method.
    #[serde(default)]
    pub backend: Option<String>,
    /// For calls without a grpc-timeout; 0 is none, absent: 15 s when transcoded, none for gRPC.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
    #[serde(default)]
    pub access: Access,
    /// HTTP bindings beside `POST /pkg.Service/Method`, which every method of the descriptors has.
    #[serde(default)]
    pub bindings: Vec<Binding>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// `GET`, ... or a custom verb.
    pub verb: String,
    /// google.api.http path template: `/v1/{name=shelves/*}:act`.
    pub template: String,
    /// `""`, `*` or a field of the request message.
    #[serde(default)]
    pub body: String,
    #[serde(default)]
    pub response_body: String,
}

/// Who may call. The default lets everyone through, as google.api.Service without authentication rules does.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Access {
    /// Any one suffices; none: no authentication.
    #[serde(default)]
    pub requirements: Vec<Requirement>,
    /// Serve requests without a token; one that is present must still be good.
    #[serde(default)]
    pub allow_without_credential: bool,
    /// Refuse every caller: (HTTP status, message).
    #[serde(default)]
    pub deny: Option<(u16, String)>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// A provider's id.
    pub provider: String,
    /// Replaces the provider's own when not empty.
    #[serde(default)]
    pub audiences: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authentication {
    #[serde(default)]
    pub providers: Vec<Provider>,
    #[serde(default)]
    pub userinfo_format: UserInfoFormat,
    /// Verified tokens that each worker remembers.
    #[serde(default = "thousand")]
    pub cache_size: u32,
    #[serde(default = "sixty")]
    pub clock_skew_s: u64,
    /// How long a request may wait for keys.
    #[serde(default = "five_seconds")]
    pub hold_timeout_ms: u64,
    /// Requests of one worker that wait for keys at once; more are answered as if the fetch had failed.
    #[serde(default = "thousand")]
    pub max_held: u32,
}

impl Default for Authentication {
    fn default() -> Self {
        Authentication {
            providers: Vec::new(),
            userinfo_format: UserInfoFormat::default(),
            cache_size: thousand(),
            clock_skew_s: sixty(),
            hold_timeout_ms: five_seconds(),
            max_held: thousand(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserInfoFormat {
    /// base64url of `{issuer, id, email, audiences, claims}`.
    EspV1,
    /// The token's payload segment as it came.
    #[default]
    EspV2,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    pub id: String,
    pub issuer: String,
    /// A token must carry one of them; empty: any (Python fills in `https://<service name>`).
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Empty: `Authorization: Bearer `, `X-Goog-Iap-Jwt-Assertion`, `?access_token=`.
    #[serde(default)]
    pub locations: Vec<Location>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub enum Location {
    Header {
        name: String,
        #[serde(default)]
        prefix: String,
    },
    Query {
        name: String,
    },
    Cookie {
        name: String,
    },
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// SETTINGS_MAX_CONCURRENT_STREAMS towards clients.
    pub max_concurrent_streams: u32,
    /// What one stalled stream may cost in each direction.
    pub stream_window_bytes: u32,
    pub connection_window_bytes: u32,
    /// All buffered bodies of the process; streams that would exceed it answer RESOURCE_EXHAUSTED.
    pub max_buffer_bytes: u64,
    /// Header list as RFC 9113 counts it (name + value + 32 each).
    pub max_header_bytes: u32,
    pub max_headers: u32,
    /// HTTP/1.1 request line.
    pub max_line_bytes: u32,
    /// A request's body; 0 is unlimited.
    pub max_body_bytes: u64,
    /// Bodies that are transcoded are held whole.
    pub max_transcoded_bytes: u32,
    /// Kept of each request for a safe retry.
    pub retry_buffer_bytes: u32,
    /// From the first byte of a request's head (or of a TLS handshake, or of a connection) to its end.
    pub header_timeout_ms: u64,
    /// HTTP/1.1: no byte of a body for this long.
    pub body_timeout_ms: u64,
    /// A client's connection without a request.
    pub idle_timeout_ms: u64,
    /// PING towards clients after this silence; 0 is off.
    pub keepalive_time_ms: u64,
    pub keepalive_timeout_ms: u64,
    /// 0 is unlimited; jittered by a tenth.
    pub max_connection_age_ms: u64,
    pub max_connection_age_grace_ms: u64,
    /// TCP_USER_TIMEOUT on both sides.
    pub tcp_user_timeout_ms: u64,
    /// Client connections of the process; 0 is unlimited.
    pub max_connections: u32,
    pub transcoded_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_concurrent_streams: 250,
            stream_window_bytes: 256 << 10,
            connection_window_bytes: 4 << 20,
            max_buffer_bytes: 512 << 20,
            max_header_bytes: 64 << 10,
            max_headers: 200,
            max_line_bytes: 16 << 10,
            max_body_bytes: 0,
            max_transcoded_bytes: 4 << 20,
            retry_buffer_bytes: 64 << 10,
            header_timeout_ms: 10_000,
            body_timeout_ms: 60_000,
            idle_timeout_ms: 3_600_000,
            keepalive_time_ms: 0,
            keepalive_timeout_ms: 20_000,
            max_connection_age_ms: 0,
            max_connection_age_grace_ms: 30_000,
            tcp_user_timeout_ms: 20_000,
            max_connections: 0,
            transcoded_timeout_ms: 15_000,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccessLog {
    /// `""` is off, `-` standard output, else a file that is appended to.
    pub path: String,
    /// Lines a second and worker for requests that succeeded; failed ones are always written. 0 is no limit.
    pub success_rate: u32,
    /// Constant fields of every line.
    pub labels: BTreeMap<String, String>,
}

impl Default for AccessLog {
    fn default() -> Self {
        AccessLog { path: String::new(), success_rate: 100, labels: BTreeMap::new() }
    }
}

fn one() -> u32 {
    1
}
fn sixteen() -> u32 {
    16
}
fn thousand() -> u32 {
    1000
}
fn sixty() -> u64 {
    60
}
fn five_seconds() -> u64 {
    5_000
}
fn twenty_seconds() -> u64 {
    20_000
}
fn safe_conditions() -> Vec<RetryOn> {
    vec![RetryOn::ConnectFailure, RetryOn::RefusedStream]
}
