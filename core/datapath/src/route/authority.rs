//! Authorities: what clients write in `:authority` or `Host`, and the patterns that routes give.

use std::borrow::Cow;

/// The host of an authority: without user information, port and trailing dot, in lower case.
pub fn host(authority: &[u8]) -> Cow<'_, [u8]> {
    let authority = match authority.iter().rposition(|&byte| byte == b'@') {
        Some(place) => authority.get(place + 1..).unwrap_or_default(),
        None => authority,
    };
    let host = match authority.iter().rposition(|&byte| matches!(byte, b':' | b']')) {
        Some(place) if authority.get(place) == Some(&b':') => authority.get(..place).unwrap_or_default(),
        _ => authority,
    };
    let host = host.strip_suffix(b".").unwrap_or(host);
    if host.iter().any(u8::is_ascii_uppercase) { Cow::Owned(host.to_ascii_lowercase()) } else { Cow::Borrowed(host) }
}

/// One entry of a route's `authorities`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    Any,
    /// `*.example.com`, kept as `.example.com`.
    Suffix(Box<[u8]>),
    Exact(Box<[u8]>),
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Pattern, String> {
        if text == "*" {
            return Ok(Pattern::Any);
        }
        let name = text.strip_prefix("*.").unwrap_or(text);
        if name.is_empty() || name.contains(['*', '/', '@']) || name.contains(|c: char| c.is_whitespace()) {
            return Err(format!("`{text}` is neither a host, `*.suffix` nor `*`"));
        }
        let host = host(name.as_bytes());
        if host.len() != name.trim_end_matches('.').len() {
            return Err(format!("`{text}` has a port: routes match any port, leave it out"));
        }
        Ok(match text.starts_with("*.") {
            true => Pattern::Suffix([b".", &*host].concat().into()),
            false => Pattern::Exact((*host).into()),
        })
    }

    /// How closely the pattern names a host, None when it does not match: exact names before suffixes, longer suffixes
    /// before shorter ones, `*` last.
    pub fn closeness(&self, host: &[u8]) -> Option<usize> {
        match self {
            Pattern::Any => Some(0),
            Pattern::Suffix(suffix) => (host.len() > suffix.len() && host.ends_with(suffix)).then_some(suffix.len()),
            Pattern::Exact(name) => (**name == *host).then_some(usize::MAX),
        }
    }
}
