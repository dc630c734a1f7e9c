use super::algorithm::Algorithm;
use super::certificate;
use super::keys::SkipReason;
use super::public_key::{Curve, PublicKey};
use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use serde_json::Value;

/// Issuers pad their keys now and then; that is harmless here, as keys are compared by their numbers.
const URL_SAFE_ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads one JWK (RFC 7517, section 4; RFC 7518, section 6; RFC 8037, section 2): the key, and the algorithm that its
/// `alg` narrows it to.
pub(super) fn read(jwk: &Value) -> Result<(PublicKey, Option<Algorithm>), SkipReason> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    if jwk.get("use").is_some_and(|usage| usage != "sig") {
        return Err(SkipReason::NotForSignatures);
    }
    if let Some(operations) = jwk.get("key_ops") {
        let verifies = operations.as_array().is_some_and(|operations| operations.iter().any(|name| name == "verify"));
        if !verifies {
            return Err(SkipReason::NotForSignatures);
        }
    }
    let key_type = text("kty").ok_or(SkipReason::Malformed)?;
    if key_type == "oct" {
        return Err(SkipReason::Symmetric);
    }
    let only = match jwk.get("alg") {
        None => None,
        Some(name) => Some(name.as_str().and_then(Algorithm::from_name).ok_or(SkipReason::AlgorithmMismatch)?),
    };
    let number = |name: &str| {
        let encoded = text(name).ok_or(SkipReason::Malformed)?;
        URL_SAFE_ANY_PADDING.decode(encoded).map_err(|_| SkipReason::Malformed)
    };
    let key = match key_type {
        "RSA" if jwk.get("n").is_none() || jwk.get("e").is_none() => certified(jwk)?,
        "RSA" => PublicKey::Rsa { modulus: number("n")?, exponent: number("e")? },
        "EC" if jwk.get("x").is_none() || jwk.get("y").is_none() => certified(jwk)?,
        "EC" => PublicKey::Ec { curve: curve(text("crv"))?, x: number("x")?, y: number("y")? },
        "OKP" if text("crv") == Some("Ed25519") => PublicKey::Ed25519(number("x")?),
        "OKP" => return Err(SkipReason::UnknownCurve),
        _ => return Err(SkipReason::UnknownType),
    };
    let same_type = matches!(
        (key_type, &key),
        ("RSA", PublicKey::Rsa { .. }) | ("EC", PublicKey::Ec { .. }) | ("OKP", PublicKey::Ed25519(_))
    );
    if same_type { Ok((key, only)) } else { Err(SkipReason::Malformed) }
}

fn curve(name: Option<&str>) -> Result<Curve, SkipReason> {
    match name {
        Some("P-256") => Ok(Curve::P256),
        Some("P-384") => Ok(Curve::P384),
        Some("P-521") => Ok(Curve::P521),
        _ => Err(SkipReason::UnknownCurve),
    }
}

/// The key of the first certificate of `x5c`, which is base64 of DER, not base64url (RFC 7517, section 4.7).
fn certified(jwk: &Value) -> Result<PublicKey, SkipReason> {
    let leaf = jwk.get("x5c").and_then(|chain| chain.get(0)).and_then(Value::as_str).ok_or(SkipReason::Malformed)?;
    certificate::from_der(&STANDARD.decode(leaf).map_err(|_| SkipReason::Malformed)?)
}
