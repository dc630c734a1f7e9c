//! What a token costs: nanoseconds for taking it apart, verifying it, and meeting it again.
//!
//!     cargo run --release -p tidegate_datapath --example jwt_cost

#![allow(clippy::disallowed_macros)]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;
use tidegate_datapath::authenticate::cache::TokenCache;
use tidegate_datapath::authenticate::decide::{Authenticator, CompiledAccess, Decision};
use tidegate_datapath::authenticate::extract::RequestView;
use tidegate_datapath::authenticate::keys::KeySet;
use tidegate_datapath::authenticate::store::KeyStore;
use tidegate_datapath::authenticate::token::Token;
use tidegate_datapath::snapshot::document;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::RSAPublicKey;

const NOW: u64 = 1_700_000_000;

type Failure = Box<dyn std::error::Error>;

struct Request(Vec<u8>);

impl RequestView for Request {
    fn headers<'a>(&'a self, name: &str, each: &mut dyn FnMut(&'a [u8])) {
        if name == "authorization" {
            each(&self.0);
        }
    }

    fn query(&self) -> Option<&[u8]> {
        None
    }
}

fn main() -> Result<(), Failure> {
    let (rsa, ec, ed) = (
        RsaKeyPair::generate(KeySize::Rsa2048)?,
        EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?,
        Ed25519KeyPair::generate()?,
    );
    let (_, numbers) = RSAPublicKey::from_der(rsa.public_key().as_ref())?;
    let modulus = numbers.modulus.strip_prefix(&[0]).unwrap_or(numbers.modulus);
    let point = ec.public_key().as_ref();
    let keys = json!({"keys": [
        {"kty": "RSA", "kid": "RS256", "n": base64url(modulus), "e": base64url(numbers.exponent)},
        {"kty": "EC", "kid": "ES256", "crv": "P-256", "x": base64url(&point[1..33]), "y": base64url(&point[33..])},
        {"kty": "OKP", "kid": "EdDSA", "crv": "Ed25519", "x": base64url(ed.public_key().as_ref())},
    ]});
    println!(
        "{:<8}{:>8}{:>12}{:>14}{:>20}{:>14}",
        "", "bytes", "parse", "first sight", "cached, decision", "cache alone"
    );
    let sign_rsa = |message: &[u8]| {
        let mut signature = vec![0; rsa.public_modulus_len()];
        rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
        Ok::<_, Failure>(signature)
    };
    row("RS256", &keys, sign_rsa)?;
    row("ES256", &keys, |message| Ok(ec.sign(&SystemRandom::new(), message)?.as_ref().to_vec()))?;
    row("EdDSA", &keys, |message| Ok(ed.sign(message).as_ref().to_vec()))
}

fn row(algorithm: &str, keys: &Value, sign: impl Fn(&[u8]) -> Result<Vec<u8>, Failure>) -> Result<(), Failure> {
    let header = json!({"alg": algorithm, "kid": algorithm, "typ": "JWT"});
    let payload = json!({
        "iss": "https://issuer.example", "sub": "114029384756102938475", "aud": "https://api.example",
        "email": "somebody@example.com", "email_verified": true, "iat": NOW, "exp": NOW + 3600,
    });
    let signed = format!("{}.{}", base64url(header.to_string()), base64url(payload.to_string()));
    let token = format!("{signed}.{}", base64url(sign(signed.as_bytes())?));
    let request = Request(format!("Bearer {token}").into_bytes());
    let (authenticator, access) = authenticator()?;
    let store = KeyStore::new(authenticator.providers(), None);
    store.set(0, KeySet::parse(&keys.to_string())?, NOW);

    let parse = nanoseconds(1_000, || drop(black_box(Token::parse(token.as_bytes()))));
    let mut cache = TokenCache::new(0);
    let decide = |cache: &mut TokenCache| {
        let decision = authenticator.authenticate(&access, &request, &store, cache, NOW);
        assert!(matches!(decision, Decision::Allow { caller: Some(_) }), "{decision:?}");
    };
    let first_sight = nanoseconds(100, || {
        cache.clear();
        decide(&mut cache);
    });
    let cached = nanoseconds(20_000, || decide(&mut cache));
    let alone = nanoseconds(20_000, || {
        let hash = cache.hash(token.as_bytes());
        black_box(cache.lookup(hash, token.as_bytes(), NOW, &store).map(|known| known.provider));
    });
    println!("{algorithm:<8}{:>8}{parse:>12.0}{first_sight:>14.0}{cached:>20.1}{alone:>14.1}", token.len());
    Ok(())
}

fn authenticator() -> Result<(Authenticator, CompiledAccess), Failure> {
    let provider = json!({"id": "main", "issuer": "https://issuer.example", "audiences": ["https://api.example"]});
    let document: document::Authentication = serde_json::from_value(json!({"providers": [provider]}))?;
    let rules: document::Access = serde_json::from_value(json!({"requirements": [{"provider": "main"}]}))?;
    let authenticator = Authenticator::compile(&document).map_err(|errors| errors.join("\n"))?;
    let access = authenticator.compile_access(&rules, "access").map_err(|errors| errors.join("\n"))?;
    Ok((authenticator, access))
}

/// The best of fifty rounds: what else the machine does can only add.
fn nanoseconds(times: u32, mut work: impl FnMut()) -> f64 {
    let once = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..times).for_each(|_| work());
        start.elapsed().as_nanos() as f64 / f64::from(times)
    };
    (0..50).map(|_| once(&mut work)).fold(f64::INFINITY, f64::min)
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
