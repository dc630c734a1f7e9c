use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::key_pair;

/// Chooses a certificate by the server name that the client asks for: exact before wildcard, which stands for one
/// label. Without a name, or with one that nobody has, it is the first certificate, since load balancers and probes
/// send neither. Among several of one name the client's signature algorithms decide (RSA beside ECDSA).
#[derive(Debug)]
pub(super) struct ByServerName {
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
    first: Vec<Arc<CertifiedKey>>,
}

impl ByServerName {
    pub(super) fn new(keys: Vec<CertifiedKey>) -> ByServerName {
        let mut resolver = ByServerName { exact: HashMap::new(), wildcard: HashMap::new(), first: Vec::new() };
        for key in keys.into_iter().map(Arc::new) {
            let parsed = key.cert.first().and_then(|leaf| X509Certificate::from_der(leaf).ok());
            for name in parsed.iter().flat_map(|(_, certificate)| key_pair::names(certificate)) {
                let (table, name) = match name.strip_prefix("*.") {
                    Some(suffix) => (&mut resolver.wildcard, suffix.to_string()),
                    None => (&mut resolver.exact, name),
                };
                table.entry(name).or_default().push(key.clone());
            }
            if resolver.first.is_empty() {
                resolver.first.push(key);
            }
        }
        resolver
    }

    fn candidates(&self, server_name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let Some(name) = server_name.map(|name| name.trim_end_matches('.').to_ascii_lowercase()) else {
            return &self.first;
        };
        let by_wildcard = || name.split_once('.').and_then(|(_, suffix)| self.wildcard.get(suffix));
        self.exact.get(&name).or_else(by_wildcard).unwrap_or(&self.first)
    }
}

impl ResolvesServerCert for ByServerName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let candidates = self.candidates(hello.server_name());
        let usable = candidates.iter().find(|key| key.key.choose_scheme(hello.signature_schemes()).is_some());
        usable.or(candidates.first()).cloned()
    }
}
