use crate::snapshot::document;

/// Audiences of which a token must carry one; empty allows any.
///
/// `https://x`, `http://x`, `x` and each of them with a slash at the end are the same audience, as in Envoy: issuers
/// and operators never agreed on one spelling.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audiences(Vec<String>);

impl Audiences {
    /// Fails with the first audience that names nothing, such as `https://`: it would let odd tokens through.
    pub fn compile(audiences: &[String]) -> Result<Audiences, String> {
        match audiences.iter().find(|audience| normalized(audience).is_empty()) {
            Some(empty) => Err(format!("{empty:?} names no audience")),
            None => Ok(Audiences(audiences.iter().map(|audience| normalized(audience).to_owned()).collect())),
        }
    }

    pub fn allow(&self, token_audiences: &[String]) -> bool {
        self.0.is_empty()
            || token_audiences.iter().any(|audience| {
                let audience = normalized(audience);
                self.0.iter().any(|allowed| allowed == audience)
            })
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn normalized(audience: &str) -> &str {
    let bare = audience.strip_prefix("http://").or_else(|| audience.strip_prefix("https://")).unwrap_or(audience);
    bare.strip_suffix('/').unwrap_or(bare)
}

/// A place in a request where tokens stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// `name` is lower case.
    Header {
        name: String,
        prefix: String,
    },
    Query {
        name: String,
    },
    Cookie {
        name: String,
    },
}

impl Location {
    /// Where ESPv2 looks when a provider names no location.
    pub fn defaults() -> Vec<Location> {
        vec![
            Location::Header { name: "authorization".to_owned(), prefix: "Bearer ".to_owned() },
            Location::Header { name: "x-goog-iap-jwt-assertion".to_owned(), prefix: String::new() },
            Location::Query { name: "access_token".to_owned() },
        ]
    }

    pub fn compile(location: &document::Location) -> Result<Location, String> {
        match location {
            document::Location::Header { name, .. } if !is_field_name(name) => {
                Err(format!("{name:?} is no header name"))
            }
            document::Location::Header { name, prefix } => {
                Ok(Location::Header { name: name.to_ascii_lowercase(), prefix: prefix.clone() })
            }
            document::Location::Query { name } if name.is_empty() => Err("a query parameter needs a name".to_owned()),
            document::Location::Query { name } => Ok(Location::Query { name: name.clone() }),
            document::Location::Cookie { name } if !is_field_name(name) => Err(format!("{name:?} is no cookie name")),
            document::Location::Cookie { name } => Ok(Location::Cookie { name: name.clone() }),
        }
    }
}

/// A token of RFC 9110, section 5.6.2: header and cookie names alike.
fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// An issuer of tokens and what its tokens must look like.
#[derive(Debug, Clone)]
pub struct Provider {
    pub id: String,
    /// Equal to a token's `iss`, byte for byte.
    pub issuer: String,
    pub audiences: Audiences,
    /// Indices into the authenticator's locations.
    pub(super) locations: Vec<usize>,
}

/// One way to be let in: a provider, and the audiences that count here.
#[derive(Debug, Clone)]
pub(super) struct Requirement {
    pub(super) provider: usize,
    pub(super) audiences: Audiences,
}
