//! A certificate chain with its key, checked against each other.

use std::net::IpAddr;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use serde::Serialize;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// What an operator wants to know of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// DNS names and IP addresses of the subject's alternative names; the common name where there are none.
    pub names: Vec<String>,
    /// Unix seconds.
    pub not_after: i64,
    /// SHA-256 of the first certificate's DER, lower-case hexadecimal.
    pub fingerprint: String,
}

impl Facts {
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Reads a key pair as a listener would. The error says what is wrong with which of the two.
pub fn check_key_pair(chain_pem: &str, key_pem: &str) -> Result<Facts, String> {
    let key = load(chain_pem, key_pem).map_err(|fault| format!("{}: {}", fault.field, fault.message))?;
    facts(&key).ok_or_else(|| "chain_pem: the first certificate is not a well-formed X.509 certificate".to_string())
}

/// What is wrong with a key pair, and in which of its two fields.
pub(super) struct Fault {
    pub(super) field: &'static str,
    pub(super) message: String,
}

fn fault(field: &'static str, message: impl Into<String>) -> Fault {
    Fault { field, message: message.into() }
}

pub(super) fn load(chain_pem: &str, key_pem: &str) -> Result<CertifiedKey, Fault> {
    let chain: Result<Vec<CertificateDer<'static>>, pem::Error> =
        CertificateDer::pem_slice_iter(chain_pem.as_bytes()).collect();
    let chain =
        chain.map_err(|_| fault("chain_pem", "not well-formed PEM; give CERTIFICATE sections, the server's first"))?;
    if chain.is_empty() {
        return Err(fault(
            "chain_pem",
            "holds no CERTIFICATE section; give the server's certificate, then its issuers",
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|error| match error {
        pem::Error::NoItemsFound if key_pem.contains("ENCRYPTED") => {
            fault("key_pem", "the key is encrypted; give it without a passphrase")
        }
        pem::Error::NoItemsFound => fault("key_pem", "holds no private key; give a PKCS#8, PKCS#1 or SEC1 section"),
        _ => fault("key_pem", "not well-formed PEM; give a PKCS#8, PKCS#1 or SEC1 section"),
    })?;
    CertifiedKey::from_der(chain, key, &super::provider()).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            fault("key_pem", "the key is not the certificate's; give the key that belongs to the first certificate")
        }
        Error::InvalidCertificate(reason) => fault(
            "chain_pem",
            format!("the first certificate cannot be used ({reason:?}); give an X.509 version 3 certificate"),
        ),
        _ => fault(
            "key_pem",
            "the key cannot be used; give an RSA (2048 bits or more), ECDSA P-256/384/521 or Ed25519 key",
        ),
    })
}

pub(super) fn facts(key: &CertifiedKey) -> Option<Facts> {
    let leaf = key.cert.first()?;
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    Some(Facts {
        names: names(&certificate),
        not_after: certificate.validity().not_after.timestamp(),
        fingerprint: fingerprint(leaf),
    })
}

pub(super) fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let names: Vec<String> = alternatives
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
            _ => None,
        })
        .collect();
    if !names.is_empty() {
        return names;
    }
    let common = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
    common.map(str::to_ascii_lowercase).collect()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
    }
}

/// SHA-256 in lower-case hexadecimal.
pub(super) fn fingerprint(der: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
