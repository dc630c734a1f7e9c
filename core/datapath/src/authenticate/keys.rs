use super::algorithm::Algorithm;
use super::public_key::{PublicKey, Verifiers};
use super::{certificate, jwk};
use aws_lc_rs::digest::{self, SHA256};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::fmt;

pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;
pub const MAX_KEYS: usize = 1_000;
/// What one token may cost: a token without a key id is tried against so many keys that fit its algorithm.
pub const MAX_KEYS_TRIED: usize = 100;

/// Why a document gave no key set; the keys at hand stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySetError {
    TooLarge {
        bytes: usize,
    },
    NotJson {
        line: usize,
        column: usize,
    },
    TooManyKeys {
        keys: usize,
    },
    /// Neither `{"keys": [...]}` nor `{key id: PEM certificate}`.
    UnknownForm,
}

impl fmt::Display for KeySetError {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        match self {
            KeySetError::TooLarge { bytes } => {
                write!(formatter, "the key document has {bytes} bytes, at most {MAX_DOCUMENT_BYTES} are read")
            }
            KeySetError::NotJson { line, column } => {
                write!(formatter, "the key document is no JSON: line {line}, column {column}")
            }
            KeySetError::TooManyKeys { keys } => {
                write!(formatter, "the key document has {keys} keys, at most {MAX_KEYS} are read")
            }
            KeySetError::UnknownForm => formatter.write_str(
                "the key document is neither a JWKS ({\"keys\": [...]}) nor a map of key ids to PEM certificates",
            ),
        }
    }
}

impl std::error::Error for KeySetError {}

/// Why a key of a document is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// `use` is not `sig`, or `key_ops` lacks `verify`.
    NotForSignatures,
    /// `oct`: whoever can verify with it can sign.
    Symmetric,
    UnknownType,
    UnknownCurve,
    /// `alg` is unknown or not for this type of key.
    AlgorithmMismatch,
    /// RSA below 2048 bits.
    WeakRsa,
    /// A part is missing, badly encoded, or no public key.
    Malformed,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            SkipReason::NotForSignatures => "not for verifying signatures",
            SkipReason::Symmetric => "symmetric",
            SkipReason::UnknownType => "unknown key type",
            SkipReason::UnknownCurve => "unknown curve",
            SkipReason::AlgorithmMismatch => "algorithm is unknown or not for this type of key",
            SkipReason::WeakRsa => "RSA below 2048 bits",
            SkipReason::Malformed => "malformed",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedKey {
    pub key_id: Option<String>,
    pub reason: SkipReason,
}

/// What the keys say of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureCheck {
    Valid,
    Invalid,
    /// EdDSA only; told apart because Envoy does.
    WrongLength,
    /// The key is known but not for this algorithm, or no key is for it.
    NoMatchingKey,
    /// No key has the token's key id: it may be newer than this set.
    UnknownKeyId,
}

struct Key {
    verifiers: Verifiers,
    fingerprint: [u8; 32],
}

/// The public keys of one provider.
#[derive(Default)]
pub struct KeySet {
    keys: Vec<Key>,
    by_id: HashMap<Box<str>, Vec<usize>>,
    without_id: Vec<usize>,
    skipped: Vec<SkippedKey>,
}

impl KeySet {
    /// Reads a JWKS (RFC 7517) or a map of key ids to PEM certificates, as Google's x509 endpoints serve it.
    ///
    /// Keys that cannot be used are skipped and remembered with the reason, so that one exotic key does not lock every
    /// caller out. A set may come out empty: an issuer that withdraws all its keys means it.
    pub fn parse(document: &str) -> Result<KeySet, KeySetError> {
        if document.len() > MAX_DOCUMENT_BYTES {
            return Err(KeySetError::TooLarge { bytes: document.len() });
        }
        let document: Value = serde_json::from_str(document)
            .map_err(|error| KeySetError::NotJson { line: error.line(), column: error.column() })?;
        match document.get("keys") {
            Some(Value::Array(keys)) => Self::from_jwks(keys),
            Some(_) => Err(KeySetError::UnknownForm),
            None => Self::from_certificates(document.as_object().ok_or(KeySetError::UnknownForm)?),
        }
    }

    fn from_jwks(keys: &[Value]) -> Result<KeySet, KeySetError> {
        if keys.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys { keys: keys.len() });
        }
        let mut set = KeySet::default();
        for value in keys {
            let key_id = value.get("kid").and_then(Value::as_str).filter(|key_id| !key_id.is_empty());
            set.add(key_id, jwk::read(value));
        }
        Ok(set)
    }

    fn from_certificates(certificates: &Map<String, Value>) -> Result<KeySet, KeySetError> {
        let is_pem = |value: &Value| value.as_str().is_some_and(|text| text.trim_start().starts_with("-----BEGIN "));
        if certificates.is_empty() || !certificates.values().all(is_pem) {
            return Err(KeySetError::UnknownForm);
        }
        if certificates.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys { keys: certificates.len() });
        }
        let mut set = KeySet::default();
        for (key_id, pem) in certificates {
            let key = pem.as_str().ok_or(SkipReason::Malformed).and_then(certificate::from_pem);
            set.add(Some(key_id), key.map(|key| (key, None)));
        }
        Ok(set)
    }

    fn add(&mut self, key_id: Option<&str>, key: Result<(PublicKey, Option<Algorithm>), SkipReason>) {
        let key = key.and_then(|(key, only)| {
            let verifiers = key.verifiers(only)?;
            Ok(Key { fingerprint: fingerprint(key_id, &key, &verifiers), verifiers })
        });
        match key {
            Err(reason) => self.skipped.push(SkippedKey { key_id: key_id.map(str::to_owned), reason }),
            Ok(key) => {
                let place = self.keys.len();
                self.keys.push(key);
                match key_id {
                    Some(key_id) => self.by_id.entry(key_id.into()).or_default().push(place),
                    None => self.without_id.push(place),
                }
            }
        }
    }

    /// Usable keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    pub fn contains(&self, key_id: &str) -> bool {
        self.by_id.contains_key(key_id)
    }

    /// Whether every key of `other` is here too, under the same id and for the same algorithms.
    pub fn includes(&self, other: &KeySet) -> bool {
        let mine: HashSet<_> = self.keys.iter().map(|key| key.fingerprint).collect();
        other.keys.iter().all(|key| mine.contains(&key.fingerprint))
    }

    /// Checks a signature. With a key id the keys of that id and those without one are tried, else all (RFC 7515,
    /// section 4.1.4); a key is only ever used for the algorithms that it is for, whatever the token asks.
    pub fn verify(
        &self,
        algorithm: Algorithm,
        key_id: Option<&str>,
        signing_input: &[u8],
        signature: &[u8],
    ) -> SignatureCheck {
        if algorithm == Algorithm::EdDsa && signature.len() != 64 {
            return SignatureCheck::WrongLength;
        }
        let without_id = self.without_id.iter().copied();
        let attempt =
            |places: &mut dyn Iterator<Item = usize>| self.attempt(algorithm, places, signing_input, signature);
        let checked = match key_id {
            None => attempt(&mut (0..self.keys.len())),
            Some(key_id) => match self.by_id.get(key_id) {
                Some(places) => attempt(&mut places.iter().copied().chain(without_id)),
                None if attempt(&mut { without_id }) == Some(true) => Some(true),
                None => return SignatureCheck::UnknownKeyId,
            },
        };
        match checked {
            Some(true) => SignatureCheck::Valid,
            Some(false) => SignatureCheck::Invalid,
            None => SignatureCheck::NoMatchingKey,
        }
    }

    /// Whether one of the keys at `places` verifies; `None` if none of them is for the algorithm.
    fn attempt(
        &self,
        algorithm: Algorithm,
        places: &mut dyn Iterator<Item = usize>,
        signing_input: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        let verifiers = places.filter_map(|place| {
            let verifiers = &self.keys.get(place)?.verifiers;
            verifiers.iter().find(|(candidate, _)| *candidate == algorithm).map(|(_, verifier)| verifier)
        });
        let mut verified = None;
        for verifier in verifiers.take(MAX_KEYS_TRIED) {
            verified = Some(verifier.verify_sig(signing_input, signature).is_ok());
            if verified == Some(true) {
                break;
            }
        }
        verified
    }
}

fn fingerprint(key_id: Option<&str>, key: &PublicKey, verifiers: &Verifiers) -> [u8; 32] {
    let mut context = digest::Context::new(&SHA256);
    key.fingerprint(&mut context);
    for (algorithm, _) in verifiers {
        context.update(algorithm.name().as_bytes());
        context.update(b",");
    }
    context.update(key_id.map_or(&[0][..], |_| &[1]));
    context.update(key_id.unwrap_or_default().as_bytes());
    let mut bytes = [0; 32];
    for (to, from) in bytes.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    bytes
}
