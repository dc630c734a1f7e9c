//! Where clients come in.

use serde::Deserialize;

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
