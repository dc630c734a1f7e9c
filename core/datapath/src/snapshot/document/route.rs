//! Which request goes to which backend, and the API surface.

use super::defaults::one;
use super::{Access, Retry};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Label in metrics and log.
    pub name: String,
    #[serde(default, rename = "match")]
    pub matcher: Matcher,
    /// Empty only where the route redirects.
    #[serde(default)]
    pub backends: Vec<WeightedBackend>,
    /// Its requests are sent elsewhere instead.
    #[serde(default)]
    pub redirect: Option<Redirect>,
    /// For calls without a grpc-timeout; 0 is none.
    #[serde(default)]
    pub timeout_ms: u64,
    /// No call takes longer, whatever its grpc-timeout says; 0 is none.
    #[serde(default)]
    pub max_timeout_ms: u64,
    /// No DATA in either direction for this long ends the call; 0 is off.
    #[serde(default)]
    pub idle_timeout_ms: u64,
    #[serde(default)]
    pub access: Access,
    /// In place of its backends'.
    #[serde(default)]
    pub retry: Option<Retry>,
    /// Names; a request has to pass all of them.
    #[serde(default)]
    pub rate_limits: Vec<String>,
}

/// See `route::redirect`. What is absent stays as the request has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
    #[serde(default)]
    pub https: bool,
    #[serde(default)]
    pub host: Option<String>,
    /// The whole path.
    #[serde(default)]
    pub path: Option<String>,
    /// In place of the prefix that the route matched.
    #[serde(default)]
    pub prefix: Option<String>,
    #[serde(default)]
    pub strip_query: bool,
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
    /// In place of its route's and its backend's.
    #[serde(default)]
    pub retry: Option<Retry>,
    /// Beside those of its route.
    #[serde(default)]
    pub rate_limits: Vec<String>,
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
