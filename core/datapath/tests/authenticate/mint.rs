//! Keys and tokens of the tests' own issuers.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::sync::OnceLock;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;

/// A unix time at which every test takes place.
pub(crate) const NOW: u64 = 1_700_000_000;

pub(crate) enum Pair {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
    Ed25519(Ed25519KeyPair),
}

pub(crate) struct Signer {
    pub(crate) key_id: &'static str,
    pub(crate) pair: Pair,
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn rsa() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(|| new_rsa("rsa-1"))
}

pub(crate) fn other_rsa() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(|| new_rsa("rsa-2"))
}

fn new_rsa(key_id: &'static str) -> Signer {
    Signer { key_id, pair: Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key")) }
}

pub(crate) fn p256() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(|| new_ec("p256-1", &ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"))
}

pub(crate) fn p384() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(|| new_ec("p384-1", &ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"))
}

pub(crate) fn p521() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(|| new_ec("p521-1", &ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"))
}

/// Signs in the DER form, which JWTs must not use.
pub(crate) fn p256_der() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(|| new_ec("p256-der", &ECDSA_P256_SHA256_ASN1_SIGNING, "P-256"))
}

/// A P-256 key of which a coordinate begins with a zero byte.
pub(crate) fn p256_leading_zero() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(|| {
        loop {
            let signer = new_ec("p256-zero", &ECDSA_P256_SHA256_FIXED_SIGNING, "P-256");
            let Pair::Ec(pair, _) = &signer.pair else { unreachable!("an EC key") };
            let point = pair.public_key().as_ref();
            if point[1] == 0 || point[33] == 0 {
                return signer;
            }
        }
    })
}

fn new_ec(key_id: &'static str, algorithm: &'static EcdsaSigningAlgorithm, curve: &'static str) -> Signer {
    Signer { key_id, pair: Pair::Ec(EcdsaKeyPair::generate(algorithm).expect("an EC key"), curve) }
}

pub(crate) fn ed25519() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(|| Signer {
        key_id: "ed-1",
        pair: Pair::Ed25519(Ed25519KeyPair::generate().expect("an Ed25519 key")),
    })
}

impl Signer {
    /// Modulus and exponent, without leading zeros.
    pub(crate) fn rsa_numbers(&self) -> (Vec<u8>, Vec<u8>) {
        let Pair::Rsa(pair) = &self.pair else { panic!("{} is no RSA key", self.key_id) };
        let (_, key) = RSAPublicKey::from_der(pair.public_key().as_ref()).expect("a PKCS #1 key");
        let bare = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect();
        (bare(key.modulus), bare(key.exponent))
    }

    /// The coordinates at full width.
    pub(crate) fn coordinates(&self) -> (Vec<u8>, Vec<u8>) {
        let Pair::Ec(pair, _) = &self.pair else { panic!("{} is no EC key", self.key_id) };
        let point = &pair.public_key().as_ref()[1..];
        let (x, y) = point.split_at(point.len() / 2);
        (x.to_vec(), y.to_vec())
    }

    pub(crate) fn jwk(&self) -> Value {
        match &self.pair {
            Pair::Rsa(_) => {
                let (n, e) = self.rsa_numbers();
                json!({"kty": "RSA", "kid": self.key_id, "n": base64url(n), "e": base64url(e)})
            }
            Pair::Ec(_, curve) => {
                let (x, y) = self.coordinates();
                json!({"kty": "EC", "kid": self.key_id, "crv": curve, "x": base64url(x), "y": base64url(y)})
            }
            Pair::Ed25519(pair) => {
                let x = base64url(pair.public_key().as_ref());
                json!({"kty": "OKP", "kid": self.key_id, "crv": "Ed25519", "x": x})
            }
        }
    }

    /// `algorithm` matters to RSA only; the other keys have one each.
    pub(crate) fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    "PS256" => &RSA_PSS_SHA256,
                    "PS384" => &RSA_PSS_SHA384,
                    "PS512" => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), message, &mut signature).expect("a signature");
                signature
            }
            Pair::Ec(pair, _) => pair.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with the key's id in its header.
    pub(crate) fn token(&self, algorithm: &str, payload: &Value) -> String {
        self.token_with(&json!({"alg": algorithm, "kid": self.key_id, "typ": "JWT"}), payload)
    }

    pub(crate) fn token_with(&self, header: &Value, payload: &Value) -> String {
        let algorithm = header["alg"].as_str().unwrap_or_default();
        let signed = unsigned(&header.to_string(), &payload.to_string());
        let signature = self.sign(algorithm, signed.as_bytes());
        format!("{signed}.{}", base64url(signature))
    }
}

/// Header and payload of a token.
pub(crate) fn unsigned(header: &str, payload: &str) -> String {
    format!("{}.{}", base64url(header), base64url(payload))
}

pub(crate) fn jwks(signers: &[&Signer]) -> String {
    json!({"keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>()}).to_string()
}

/// A payload that every test issuer would sign; good for an hour.
pub(crate) fn claims() -> Value {
    json!({
        "iss": "https://issuer.example",
        "sub": "user-1",
        "aud": "https://api.example",
        "exp": NOW + 3600,
        "iat": NOW,
    })
}

/// `claims` with one member replaced, or removed by null.
pub(crate) fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().expect("an object").remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

/// A certificate that holds the public key and is signed by nobody: readers of key documents do not ask who signed it.
pub(crate) fn certificate(signer: &Signer) -> Vec<u8> {
    let sha256_with_rsa =
        der(0x30, &[der(0x06, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b]), der(0x05, &[])].concat());
    let key = match &signer.pair {
        Pair::Rsa(pair) => {
            let algorithm =
                [der(0x06, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01]), der(0x05, &[])].concat();
            public_key_info(&algorithm, pair.public_key().as_ref())
        }
        Pair::Ec(pair, _) => {
            let p256 = der(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]);
            let algorithm = [der(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]), p256].concat();
            public_key_info(&algorithm, pair.public_key().as_ref())
        }
        Pair::Ed25519(pair) => public_key_info(&der(0x06, &[0x2b, 0x65, 0x70]), pair.public_key().as_ref()),
    };
    let validity = der(0x30, &[der(0x17, b"200101000000Z"), der(0x17, b"210101000000Z")].concat());
    let (version, serial, name) = (der(0xa0, &der(0x02, &[2])), der(0x02, &[1]), der(0x30, &[]));
    let body = der(0x30, &[version, serial, sha256_with_rsa.clone(), name.clone(), validity, name, key].concat());
    der(0x30, &[body, sha256_with_rsa, der(0x03, &[0, 1, 2, 3])].concat())
}

pub(crate) fn pem(der: &[u8]) -> String {
    let encoded = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<_> = encoded.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

fn public_key_info(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    der(0x30, &[der(0x30, algorithm), der(0x03, &[&[0], key].concat())].concat())
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let prefix = match length {
        0..=127 => vec![tag, length as u8],
        128..=255 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [prefix, content.to_vec()].concat()
}
