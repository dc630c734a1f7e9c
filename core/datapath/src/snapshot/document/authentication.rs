//! Who may call.

use super::defaults::{five_seconds, sixty, thousand};
use serde::Deserialize;

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
