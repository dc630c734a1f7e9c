//! Addresses of listeners and endpoints.

use std::net::SocketAddr;
use std::path::PathBuf;

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
