use rustls::{CipherSuite, SupportedCipherSuite};

use crate::snapshot::document::TlsVersion;

/// Each suite by its IANA name, the library's name where that differs, and the name that OpenSSL and ESPv2's
/// `--ssl_server_cipher_suites` use.
const NAMES: [(CipherSuite, [&str; 3]); 9] = [
    (
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        ["TLS_AES_256_GCM_SHA384", "TLS13_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"],
    ),
    (
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        ["TLS_AES_128_GCM_SHA256", "TLS13_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"],
    ),
    (
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        ["TLS_CHACHA20_POLY1305_SHA256", "TLS13_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256"],
    ),
    tls12(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
    ),
    tls12(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
    ),
    tls12(
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
    ),
    tls12(
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        "ECDHE-RSA-AES256-GCM-SHA384",
    ),
    tls12(
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        "ECDHE-RSA-AES128-GCM-SHA256",
    ),
    tls12(
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        "ECDHE-RSA-CHACHA20-POLY1305",
    ),
];

const fn tls12(suite: CipherSuite, iana: &'static str, openssl: &'static str) -> (CipherSuite, [&'static str; 3]) {
    (suite, [iana, iana, openssl])
}

/// Those of `available` that `names` lists, in that order; all of them when it lists none.
///
/// As with OpenSSL and Envoy a list without any suite of TLS 1.3 is one of TLS 1.2, and leaves those of 1.3 alone.
///
/// Errors: one `[index]: message` per unknown name, or `: message` when TLS 1.2 is left without a suite.
pub(super) fn select(
    names: &[String],
    available: &[SupportedCipherSuite],
    minimum: TlsVersion,
) -> Result<Vec<SupportedCipherSuite>, Vec<String>> {
    let mut chosen: Vec<SupportedCipherSuite> = Vec::new();
    let mut problems = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let wanted = NAMES.iter().find(|(_, names)| names.iter().any(|known| known.eq_ignore_ascii_case(name)));
        let suite = wanted.and_then(|(suite, _)| available.iter().find(|offered| offered.suite() == *suite));
        match suite {
            Some(suite) if chosen.contains(suite) => {}
            Some(suite) => chosen.push(*suite),
            None => problems.push(format!("[{index}]: no suite is called {name:?}; there are {}", known_names())),
        }
    }
    let is_tls13 = |suite: &SupportedCipherSuite| suite.tls13().is_some();
    if names.is_empty() {
        chosen.extend(available);
    } else if !chosen.iter().any(is_tls13) {
        chosen.extend(available.iter().filter(|suite| is_tls13(suite)));
    }
    if problems.is_empty() && minimum == TlsVersion::Tls12 && chosen.iter().all(is_tls13) {
        problems.push(": none of the suites is one of TLS 1.2; add one, or set minimum_version to 1.3".to_string());
    }
    if problems.is_empty() { Ok(chosen) } else { Err(problems) }
}

fn known_names() -> String {
    let names: Vec<&str> = NAMES.iter().map(|(_, [iana, ..])| *iana).collect();
    names.join(", ")
}
