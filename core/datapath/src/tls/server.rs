use std::sync::Arc;

use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ClientCertVerifierBuilder, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use super::resolver::ByServerName;
use super::{cipher_suites, key_pair, provider, root_store};
use crate::snapshot::document::{ClientCertificate, ServerTls, TlsVersion};

/// Makes a listener's configuration; `path` is where `document` stands in the snapshot (`listeners[0].tls`).
///
/// Sessions are resumed by tickets whose keys live as long as the configuration: after a reload clients handshake in
/// full, so that a client certificate is checked against the new CA. There is no early data, which could be replayed.
///
/// Errors: every fault at once, each as `path: message`.
pub fn server_config(document: &ServerTls, path: &str) -> Result<Arc<ServerConfig>, Vec<String>> {
    let mut problems = Vec::new();
    let keys = load_keys(document, path, &mut problems);
    let roots = load_client_roots(document, path, &mut problems);
    let versions = versions(document, path, &mut problems);
    let mut provider = provider();
    match cipher_suites::select(&document.cipher_suites, &provider.cipher_suites, document.minimum_version) {
        Ok(suites) => provider.cipher_suites = suites,
        Err(faults) => problems.extend(faults.into_iter().map(|fault| format!("{path}.cipher_suites{fault}"))),
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    build(document, Arc::new(provider), &versions, roots, keys).map_err(|message| vec![format!("{path}: {message}")])
}

fn build(
    document: &ServerTls,
    provider: Arc<rustls::crypto::CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    roots: Option<Arc<RootCertStore>>,
    keys: Vec<CertifiedKey>,
) -> Result<Arc<ServerConfig>, String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let builder = ServerConfig::builder_with_provider(provider.clone());
    let builder = builder.with_protocol_versions(versions).map_err(|error| said(&error))?;
    let builder = match roots {
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = match document.client_certificate {
                ClientCertificate::Optional => ClientCertVerifierBuilder::allow_unauthenticated(verifier),
                ClientCertificate::Required | ClientCertificate::None => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| said(&error))?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(ByServerName::new(keys)));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = Ticketer::new().map_err(|error| said(&error))?;
    Ok(Arc::new(config))
}

fn load_keys(document: &ServerTls, path: &str, problems: &mut Vec<String>) -> Vec<CertifiedKey> {
    if document.certificates.is_empty() {
        problems.push(format!("{path}.certificates: is empty; give at least one certificate with its key"));
    }
    let mut keys = Vec::new();
    for (index, pair) in document.certificates.iter().enumerate() {
        match key_pair::load(&pair.chain_pem, &pair.key_pem) {
            Ok(key) => keys.push(key),
            Err(fault) => problems.push(format!("{path}.certificates[{index}].{}: {}", fault.field, fault.message)),
        }
    }
    keys
}

fn load_client_roots(document: &ServerTls, path: &str, problems: &mut Vec<String>) -> Option<Arc<RootCertStore>> {
    match (&document.client_ca_pem, document.client_certificate) {
        (None, ClientCertificate::None) => None,
        (None, _) => {
            problems.push(format!(
                "{path}.client_ca_pem: is missing; give the CA that client certificates are checked with"
            ));
            None
        }
        (Some(_), ClientCertificate::None) => {
            problems.push(format!(
                "{path}.client_certificate: is none beside a client_ca_pem, which would check nobody; \
                 say optional or required, or leave the CA out"
            ));
            None
        }
        (Some(pem), _) => match root_store(pem) {
            Ok(roots) => Some(roots),
            Err(message) => {
                problems.push(format!("{path}.client_ca_pem: {message}"));
                None
            }
        },
    }
}

fn versions(document: &ServerTls, path: &str, problems: &mut Vec<String>) -> Vec<&'static SupportedProtocolVersion> {
    if document.minimum_version > document.maximum_version {
        problems.push(format!("{path}.minimum_version: is above maximum_version; no client could connect"));
        return Vec::new();
    }
    let range = document.minimum_version..=document.maximum_version;
    let all = [(TlsVersion::Tls12, &version::TLS12), (TlsVersion::Tls13, &version::TLS13)];
    all.into_iter().filter(|(version, _)| range.contains(version)).map(|(_, version)| version).collect()
}
