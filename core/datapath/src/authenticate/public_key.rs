use super::algorithm::Algorithm;
use super::keys::SkipReason;
use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, ParsedPublicKey, RsaParameters, RsaPublicKeyComponents};

/// Below this, RSA is refused: RFC 7518, sections 3.3 and 3.5.
const MIN_RSA_BITS: usize = 2048;
/// The largest modulus that the library verifies with; it also bounds what one verification may cost.
const MAX_RSA_BITS: usize = 8192;
/// The library's own bound on the public exponent.
const MAX_RSA_EXPONENT_BITS: usize = 33;

/// A curve of RFC 7518, section 6.2.1.1. Each verifies with one algorithm only (section 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    pub(super) fn coordinate_bytes(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }

    fn algorithm(self) -> (Algorithm, &'static EcdsaVerificationAlgorithm) {
        match self {
            Curve::P256 => (Algorithm::Es256, &signature::ECDSA_P256_SHA256_FIXED),
            Curve::P384 => (Algorithm::Es384, &signature::ECDSA_P384_SHA384_FIXED),
            Curve::P521 => (Algorithm::Es512, &signature::ECDSA_P521_SHA512_FIXED),
        }
    }
}

/// The numbers of a public key, whatever document they came in. Integers are big-endian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PublicKey {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ec { curve: Curve, x: Vec<u8>, y: Vec<u8> },
    Ed25519(Vec<u8>),
}

/// One parsed key per algorithm that a public key may verify.
pub(super) type Verifiers = Vec<(Algorithm, ParsedPublicKey)>;

impl PublicKey {
    /// Prepares verification; `only` is the JWK's `alg`, which narrows the key to that algorithm.
    pub(super) fn verifiers(&self, only: Option<Algorithm>) -> Result<Verifiers, SkipReason> {
        let verifiers = match self {
            PublicKey::Rsa { modulus, exponent } => rsa_verifiers(modulus, exponent, only)?,
            PublicKey::Ec { curve, x, y } => {
                let (algorithm, parameters) = curve.algorithm();
                let point = uncompressed_point(*curve, x, y)?;
                let key = ParsedPublicKey::new(parameters, point).map_err(|_| SkipReason::Malformed)?;
                vec![(algorithm, key)]
            }
            PublicKey::Ed25519(bytes) if bytes.len() == 32 => {
                let key = ParsedPublicKey::new(&signature::ED25519, bytes).map_err(|_| SkipReason::Malformed)?;
                vec![(Algorithm::EdDsa, key)]
            }
            PublicKey::Ed25519(_) => return Err(SkipReason::Malformed),
        };
        if only.is_some_and(|only| verifiers.iter().all(|(algorithm, _)| *algorithm != only)) || verifiers.is_empty() {
            return Err(SkipReason::AlgorithmMismatch);
        }
        Ok(verifiers)
    }

    /// Tells keys apart; the same numbers give the same bytes, with or without leading zeros.
    pub(super) fn fingerprint(&self, context: &mut digest::Context) {
        let (tag, parts): (u8, [&[u8]; 2]) = match self {
            PublicKey::Rsa { modulus, exponent } => (0, [modulus, exponent]),
            PublicKey::Ec { curve: Curve::P256, x, y } => (1, [x, y]),
            PublicKey::Ec { curve: Curve::P384, x, y } => (2, [x, y]),
            PublicKey::Ec { curve: Curve::P521, x, y } => (3, [x, y]),
            PublicKey::Ed25519(bytes) => (4, [bytes, &[]]),
        };
        context.update(&[tag]);
        for part in parts {
            let number = if tag == 4 { part } else { without_leading_zeros(part) };
            context.update(&(number.len() as u64).to_be_bytes());
            context.update(number);
        }
    }
}

fn rsa_verifiers(modulus: &[u8], exponent: &[u8], only: Option<Algorithm>) -> Result<Verifiers, SkipReason> {
    let (modulus, exponent) = (without_leading_zeros(modulus), without_leading_zeros(exponent));
    if bits(modulus) < MIN_RSA_BITS {
        return Err(SkipReason::WeakRsa);
    }
    let odd = |number: &[u8]| number.last().is_some_and(|byte| byte & 1 == 1);
    let usable = bits(modulus) <= MAX_RSA_BITS
        && odd(modulus)
        && (2..=MAX_RSA_EXPONENT_BITS).contains(&bits(exponent))
        && odd(exponent);
    if !usable {
        return Err(SkipReason::Malformed);
    }
    let components = RsaPublicKeyComponents { n: modulus, e: exponent };
    let parameters: [(Algorithm, &'static RsaParameters); 6] = [
        (Algorithm::Rs256, &signature::RSA_PKCS1_2048_8192_SHA256),
        (Algorithm::Rs384, &signature::RSA_PKCS1_2048_8192_SHA384),
        (Algorithm::Rs512, &signature::RSA_PKCS1_2048_8192_SHA512),
        (Algorithm::Ps256, &signature::RSA_PSS_2048_8192_SHA256),
        (Algorithm::Ps384, &signature::RSA_PSS_2048_8192_SHA384),
        (Algorithm::Ps512, &signature::RSA_PSS_2048_8192_SHA512),
    ];
    parameters
        .into_iter()
        .filter(|(algorithm, _)| only.is_none_or(|only| only == *algorithm))
        .map(|(algorithm, parameters)| match components.to_parsed_public_key(parameters) {
            Ok(key) => Ok((algorithm, key)),
            Err(_) => Err(SkipReason::Malformed),
        })
        .collect()
}

/// SEC 1, section 2.3.3. Issuers drop leading zeros of a coordinate, though RFC 7518, 6.2.1.2, forbids it.
fn uncompressed_point(curve: Curve, x: &[u8], y: &[u8]) -> Result<Vec<u8>, SkipReason> {
    let width = curve.coordinate_bytes();
    let mut point = vec![4];
    for coordinate in [x, y] {
        let coordinate = without_leading_zeros(coordinate);
        let padding = width.checked_sub(coordinate.len()).ok_or(SkipReason::Malformed)?;
        point.extend(std::iter::repeat_n(0, padding));
        point.extend_from_slice(coordinate);
    }
    Ok(point)
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}
