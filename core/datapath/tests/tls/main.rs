//! TLS through its public surface, against rustls' other side, with certificates made for each test.

mod client;
mod forwarded;
mod key_pair;
mod pipe;
mod server;
mod transport;

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tidegate_datapath::snapshot::document;

/// A certificate authority and its certificate.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// (chain, key) as PEM.
    pub(crate) fn issue(&self, params: CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// For DNS names and IP addresses.
    pub(crate) fn issue_for(&self, names: &[&str]) -> (String, String) {
        let mut params = CertificateParams::new(names.iter().map(|name| name.to_string()).collect::<Vec<_>>()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "a common name");
        self.issue(params)
    }
}

/// A client's certificate with a subject and alternative names.
pub(crate) fn client_params(subject: &[(DnType, &str)], names: Vec<SanType>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    for (kind, value) in subject {
        params.distinguished_name.push(kind.clone(), *value);
    }
    params.subject_alt_names = names;
    params
}

pub(crate) fn pair((chain_pem, key_pem): &(String, String)) -> document::KeyPair {
    document::KeyPair { chain_pem: chain_pem.clone(), key_pem: key_pem.clone() }
}

/// A listener's configuration from JSON, with `certificates` put in.
pub(crate) fn listener(certificates: &[&(String, String)], more: serde_json::Value) -> document::ServerTls {
    let mut value = serde_json::json!({"certificates": []});
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut document: document::ServerTls = serde_json::from_value(value).unwrap();
    document.certificates = certificates.iter().map(|given| pair(given)).collect();
    document
}

pub(crate) fn server_config(document: &document::ServerTls) -> Arc<ServerConfig> {
    tidegate_datapath::tls::server_config(document, "tls").unwrap()
}

/// What a stranger's client might be set to.
pub(crate) struct ClientOptions<'a> {
    pub(crate) trusts: &'a Authority,
    pub(crate) certificate: Option<&'a (String, String)>,
    pub(crate) alpn: &'a [&'a str],
    pub(crate) versions: &'a [&'static SupportedProtocolVersion],
    pub(crate) server_name: bool,
}

impl<'a> ClientOptions<'a> {
    pub(crate) fn new(trusts: &'a Authority) -> ClientOptions<'a> {
        ClientOptions { trusts, certificate: None, alpn: &["h2"], versions: rustls::ALL_VERSIONS, server_name: true }
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.trusts.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(self.versions).unwrap();
        let builder = builder.with_root_certificates(roots);
        let mut config = match self.certificate {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.enable_sni = self.server_name;
        Arc::new(config)
    }
}
