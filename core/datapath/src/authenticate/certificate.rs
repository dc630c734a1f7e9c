use super::keys::SkipReason;
use super::public_key::{Curve, PublicKey};
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_NIST_EC_P521, OID_SIG_ED25519,
};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey as CertifiedKey;
use x509_parser::x509::SubjectPublicKeyInfo;

/// The public key of a PEM certificate.
pub(super) fn from_pem(pem: &str) -> Result<PublicKey, SkipReason> {
    let (_, pem) = x509_parser::pem::parse_x509_pem(pem.as_bytes()).map_err(|_| SkipReason::Malformed)?;
    from_der(&pem.contents)
}

/// The public key of a DER certificate.
///
/// Neither its dates nor its signature are looked at: it is a vessel for a key that the issuer serves over TLS and
/// replaces when it likes, as `x5c` and Google's x509 endpoints are meant.
pub(super) fn from_der(der: &[u8]) -> Result<PublicKey, SkipReason> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| SkipReason::Malformed)?;
    let info = certificate.public_key();
    if info.algorithm.algorithm == OID_SIG_ED25519 {
        return Ok(PublicKey::Ed25519(info.subject_public_key.data.to_vec()));
    }
    match info.parsed().map_err(|_| SkipReason::Malformed)? {
        CertifiedKey::RSA(key) => Ok(PublicKey::Rsa { modulus: key.modulus.to_vec(), exponent: key.exponent.to_vec() }),
        CertifiedKey::EC(point) => {
            let curve = curve(info).ok_or(SkipReason::UnknownCurve)?;
            let coordinates = point.data().strip_prefix(&[4]).ok_or(SkipReason::Malformed)?;
            let (x, y) = coordinates.split_at_checked(curve.coordinate_bytes()).ok_or(SkipReason::Malformed)?;
            Ok(PublicKey::Ec { curve, x: x.to_vec(), y: y.to_vec() })
        }
        _ => Err(SkipReason::UnknownType),
    }
}

fn curve(info: &SubjectPublicKeyInfo) -> Option<Curve> {
    if info.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY {
        return None;
    }
    let name = info.algorithm.parameters.as_ref()?.as_oid().ok()?;
    [(OID_EC_P256, Curve::P256), (OID_NIST_EC_P384, Curve::P384), (OID_NIST_EC_P521, Curve::P521)]
        .into_iter()
        .find(|(oid, _)| *oid == name)
        .map(|(_, curve)| curve)
}
