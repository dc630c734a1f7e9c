//! TLS on both sides, by rustls with aws-lc-rs: configurations made from the snapshot, and [`Transport`], a socket
//! that may speak TLS.

mod cipher_suites;
mod client;
mod forwarded;
mod key_pair;
mod resolver;
mod server;
mod session;
mod socket;
mod subject;
mod transport;
mod unverified;

pub use client::{ClientSettings, client_settings, probe_settings};
pub use forwarded::forwarded_client_cert;
pub use key_pair::{Facts, check_key_pair};
pub use server::server_config;
pub use session::TlsSession;
pub use socket::{ByteStream, Socket};
pub use transport::{Alpn, Transport};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{RootCertStore, SupportedCipherSuite, crypto::aws_lc_rs};
use std::sync::Arc;

/// The library's choice, but AES-128 before AES-256, as BoringSSL and Go order them: it costs a quarter less, and the
/// peer may still insist.
fn provider() -> CryptoProvider {
    let mut provider = aws_lc_rs::default_provider();
    let is_aes128 = |suite: &SupportedCipherSuite| suite.suite().as_str().is_some_and(|name| name.contains("AES_128"));
    provider.cipher_suites.sort_by_key(|suite| !is_aes128(suite));
    provider
}

/// The certificates of a CA file. Those that cannot be trust anchors are passed over, as system bundles hold some.
fn root_store(pem: &str) -> Result<Arc<RootCertStore>, String> {
    let certificates: Result<Vec<CertificateDer<'static>>, _> =
        CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates = certificates.map_err(|_| "not well-formed PEM; give CERTIFICATE sections".to_string())?;
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(certificates) {
        (0, 0) => Err("holds no CERTIFICATE section; give at least one CA certificate".to_string()),
        (0, unusable) => Err(format!("none of its {unusable} certificates can be a trust anchor")),
        _ => Ok(Arc::new(roots)),
    }
}
