//! The snapshot as Python writes it: one JSON document, complete, with nothing left to look up.
//!
//! This folder is the contract. Every field has a default that is safe, unknown fields are refused, times are
//! milliseconds and sizes bytes. `super::compile` turns a document into what the request path reads.

mod admission;
mod authentication;
mod backend;
mod defaults;
mod limits;
mod listener;
mod retry;
mod route;

pub use admission::*;
pub use authentication::*;
pub use backend::*;
pub use limits::*;
pub use listener::*;
pub use retry::*;
pub use route::*;
use serde::Deserialize;

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
    #[serde(default)]
    pub rate_limits: Vec<RateLimit>,
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
            rate_limits: Vec::new(),
            descriptors: Vec::new(),
            limits: Limits::default(),
            access_log: AccessLog::default(),
            xff_trusted_hops: 0,
            healthz_path: None,
        }
    }
}
