use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, version};

use super::unverified::Unverified;
use super::{key_pair, provider, root_store};
use crate::snapshot::document::ClientTls;

/// What a connection to a backend needs.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    pub config: Arc<ClientConfig>,
    pub server_name: ServerName<'static>,
}

/// Makes a backend's configuration; `path` is where `document` stands in the snapshot (`backends[0].tls`).
///
/// TLS 1.2 and 1.3, HTTP/2 alone by ALPN, sessions resumed. Where the document says so, anybody is trusted: it needs no CA
/// then, and without a name sends none.
///
/// Errors: every fault at once, each as `path: message`.
pub fn client_settings(document: &ClientTls, path: &str) -> Result<ClientSettings, Vec<String>> {
    settings(document, path, &[b"h2"])
}

/// The same for a health probe, which may speak other protocols than HTTP/2.
pub fn probe_settings(document: &ClientTls, path: &str, protocols: &[&[u8]]) -> Result<ClientSettings, Vec<String>> {
    settings(document, path, protocols)
}

fn settings(document: &ClientTls, path: &str, protocols: &[&[u8]]) -> Result<ClientSettings, Vec<String>> {
    let mut problems = Vec::new();
    let mut note = |field: &str, message: String| problems.push(format!("{path}.{field}: {message}"));

    let server_name = match &document.server_name {
        Some(name) => {
            ServerName::try_from(name.clone()).map_err(|_| format!("{name:?} is neither a DNS name nor an IP address"))
        }
        None if document.verify => Err("is missing; give the name that the backend's certificate is for".to_string()),
        // An address is not sent.
        None => Ok(ServerName::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED))),
    };
    if let Err(message) = &server_name {
        note("server_name", message.clone());
    }
    let roots = match &document.ca_pem {
        _ if !document.verify => Ok(None),
        None => Err("is missing; give the CA certificates that the backend's certificate is checked with".to_string()),
        Some(pem) => root_store(pem).map(Some),
    };
    if let Err(message) = &roots {
        note("ca_pem", message.clone());
    }
    let pair = document.client.as_ref().map(|pair| key_pair::load(&pair.chain_pem, &pair.key_pem));
    if let Some(Err(fault)) = &pair {
        note(&format!("client.{}", fault.field), fault.message.clone());
    }
    let (Ok(server_name), Ok(roots), Some(Ok(_)) | None) = (server_name, roots, &pair) else {
        return Err(problems);
    };

    let provider = Arc::new(provider());
    let verifier: Arc<dyn ServerCertVerifier> = match roots {
        None => Arc::new(Unverified::new(&provider)),
        Some(roots) => WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
            .build()
            .map_err(|error| vec![format!("{path}.ca_pem: {error}")])?,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|error| vec![format!("{path}: {error}")])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match pair {
        Some(Ok(key)) => builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(key))),
        _ => builder.with_no_client_auth(),
    };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(ClientSettings { config: Arc::new(config), server_name })
}
