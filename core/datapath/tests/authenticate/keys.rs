use crate::mint::{self, base64url, certificate, jwks, pem};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidegate_datapath::authenticate::algorithm::Algorithm;
use tidegate_datapath::authenticate::keys::{
    KeySet, KeySetError, MAX_DOCUMENT_BYTES, MAX_KEYS, SignatureCheck, SkipReason,
};

const MESSAGE: &[u8] = b"header.payload";

fn set(keys: Value) -> KeySet {
    KeySet::parse(&json!({"keys": keys}).to_string()).expect("a key set")
}

fn edited(signer: &mint::Signer, edit: impl FnOnce(&mut Value)) -> Value {
    let mut jwk = signer.jwk();
    edit(&mut jwk);
    jwk
}

fn skipped(jwk: Value) -> SkipReason {
    let set = set(json!([jwk]));
    assert!(set.is_empty(), "the key is used");
    set.skipped()[0].reason
}

fn verifies(set: &KeySet, signer: &mint::Signer, algorithm: Algorithm) -> SignatureCheck {
    let signature = signer.sign(algorithm.name(), MESSAGE);
    set.verify(algorithm, Some(signer.key_id), MESSAGE, &signature)
}

#[test]
fn each_key_verifies_its_own_algorithms_and_no_others() {
    let rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    let signers: [(&mint::Signer, &[&str]); 5] = [
        (mint::rsa(), &rsa),
        (mint::p256(), &["ES256"]),
        (mint::p384(), &["ES384"]),
        (mint::p521(), &["ES512"]),
        (mint::ed25519(), &["EdDSA"]),
    ];
    for (signer, own) in signers {
        let keys = set(json!([signer.jwk()]));
        for algorithm in Algorithm::ALL {
            let expected = match own.contains(&algorithm.name()) {
                true => SignatureCheck::Valid,
                false if algorithm == Algorithm::EdDsa => SignatureCheck::WrongLength,
                false => SignatureCheck::NoMatchingKey,
            };
            let checked = match (signer.key_id, algorithm) {
                ("p256-1", Algorithm::EdDsa) => SignatureCheck::NoMatchingKey,
                _ => expected,
            };
            assert_eq!(verifies(&keys, signer, algorithm), checked, "{} {}", signer.key_id, algorithm.name());
        }
    }
}

#[test]
fn a_key_with_alg_verifies_that_algorithm_only() {
    let keys = set(json!([edited(mint::rsa(), |jwk| jwk["alg"] = json!("PS256"))]));
    for algorithm in [Algorithm::Rs256, Algorithm::Ps384, Algorithm::Rs512] {
        assert_eq!(verifies(&keys, mint::rsa(), algorithm), SignatureCheck::NoMatchingKey, "{}", algorithm.name());
    }
    assert_eq!(verifies(&keys, mint::rsa(), Algorithm::Ps256), SignatureCheck::Valid);
}

#[test]
fn rsa_schemes_and_digests_do_not_stand_in_for_each_other() {
    let keys = set(json!([mint::rsa().jwk()]));
    let rsa: Vec<_> =
        Algorithm::ALL.into_iter().filter(|algorithm| matches!(algorithm.name().as_bytes()[0], b'R' | b'P')).collect();
    for signed in &rsa {
        let signature = mint::rsa().sign(signed.name(), MESSAGE);
        for asked in &rsa {
            let expected = if signed == asked { SignatureCheck::Valid } else { SignatureCheck::Invalid };
            assert_eq!(keys.verify(*asked, None, MESSAGE, &signature), expected, "{signed:?} as {asked:?}");
        }
    }
}

#[test]
fn a_signature_must_cover_these_bytes_whole() {
    for (signer, algorithm) in
        [(mint::rsa(), Algorithm::Rs256), (mint::p256(), Algorithm::Es256), (mint::ed25519(), Algorithm::EdDsa)]
    {
        let keys = set(json!([signer.jwk()]));
        let signature = signer.sign(algorithm.name(), MESSAGE);
        let check = |message: &[u8], signature: &[u8]| keys.verify(algorithm, None, message, signature);
        assert_eq!(check(MESSAGE, &signature), SignatureCheck::Valid);
        assert_eq!(check(b"header.payloae", &signature), SignatureCheck::Invalid);
        for at in [0, signature.len() / 2, signature.len() - 1] {
            let mut bent = signature.clone();
            bent[at] ^= 1;
            assert_eq!(check(MESSAGE, &bent), SignatureCheck::Invalid, "{algorithm:?} byte {at}");
        }
        for wrong in [
            &[][..],
            &signature[1..],
            &signature[..signature.len() - 1],
            &[&signature[..], &[0]].concat(),
            &[&[0], &signature[..]].concat(),
        ] {
            assert_ne!(check(MESSAGE, wrong), SignatureCheck::Valid, "{algorithm:?} length {}", wrong.len());
        }
    }
}

#[test]
fn ecdsa_signatures_are_raw_numbers_not_der() {
    let keys = set(json!([mint::p256_der().jwk()]));
    let der = mint::p256_der().sign("ES256", MESSAGE);
    assert_eq!(keys.verify(Algorithm::Es256, None, MESSAGE, &der), SignatureCheck::Invalid);
    for zeros in [vec![0; 64], [vec![0; 32], vec![1; 32]].concat()] {
        assert_eq!(keys.verify(Algorithm::Es256, None, MESSAGE, &zeros), SignatureCheck::Invalid);
    }
}

#[test]
fn numbers_may_have_too_many_or_too_few_leading_zeros() {
    let (n, e) = mint::rsa().rsa_numbers();
    let padded = edited(mint::rsa(), |jwk| {
        jwk["n"] = json!(base64url([&[0, 0], &n[..]].concat()));
        jwk["e"] = json!(base64url([&[0], &e[..]].concat()));
    });
    assert_eq!(verifies(&set(json!([padded])), mint::rsa(), Algorithm::Rs256), SignatureCheck::Valid);

    let signer = mint::p256_leading_zero();
    let (x, y) = signer.coordinates();
    let bare = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
    for (x, y) in [(x.clone(), y.clone()), (bare(&x), bare(&y)), ([&[0], &x[..]].concat(), y)] {
        let jwk = edited(signer, |jwk| {
            jwk["x"] = json!(base64url(x));
            jwk["y"] = json!(base64url(y));
        });
        assert_eq!(verifies(&set(json!([jwk])), signer, Algorithm::Es256), SignatureCheck::Valid);
    }
}

#[test]
fn padded_base64url_in_a_jwk_is_read() {
    let (n, e) = mint::rsa().rsa_numbers();
    let padded = base64::engine::general_purpose::URL_SAFE;
    let jwk = edited(mint::rsa(), |jwk| {
        jwk["n"] = json!(padded.encode(n));
        jwk["e"] = json!(padded.encode(e));
    });
    assert_eq!(verifies(&set(json!([jwk])), mint::rsa(), Algorithm::Rs256), SignatureCheck::Valid);
}

#[test]
fn unusable_keys_are_skipped_with_the_reason() {
    let rsa = |name: &str, value: Value| edited(mint::rsa(), |jwk| jwk[name] = value);
    let ec = |name: &str, value: Value| edited(mint::p256(), |jwk| jwk[name] = value);
    assert_eq!(skipped(rsa("use", json!("enc"))), SkipReason::NotForSignatures);
    assert_eq!(skipped(rsa("key_ops", json!(["sign", "encrypt"]))), SkipReason::NotForSignatures);
    assert_eq!(skipped(json!({"kty": "oct", "kid": "s", "k": "AAAA", "alg": "HS256"})), SkipReason::Symmetric);
    assert_eq!(skipped(rsa("kty", json!("AKP"))), SkipReason::UnknownType);
    assert_eq!(skipped(rsa("kty", json!(7))), SkipReason::Malformed);
    assert_eq!(skipped(rsa("alg", json!("RSA-OAEP"))), SkipReason::AlgorithmMismatch);
    assert_eq!(skipped(rsa("alg", json!("HS256"))), SkipReason::AlgorithmMismatch);
    assert_eq!(skipped(rsa("alg", json!("none"))), SkipReason::AlgorithmMismatch);
    assert_eq!(skipped(rsa("alg", json!("ES256"))), SkipReason::AlgorithmMismatch);
    assert_eq!(skipped(ec("alg", json!("ES384"))), SkipReason::AlgorithmMismatch);
    assert_eq!(skipped(rsa("n", json!(base64url([0xff; 255])))), SkipReason::WeakRsa);
    assert_eq!(skipped(rsa("n", json!(base64url([&[0x7f], &[0xff; 255][..]].concat())))), SkipReason::WeakRsa);
    assert_eq!(skipped(rsa("n", json!("***"))), SkipReason::Malformed);
    assert_eq!(skipped(rsa("n", json!(base64url([0xff; 1025])))), SkipReason::Malformed);
    assert_eq!(skipped(rsa("n", json!(base64url([0xfe; 256])))), SkipReason::Malformed);
    for e in [&[][..], &[0], &[1], &[2], &[0xff; 9]] {
        assert_eq!(skipped(rsa("e", json!(base64url(e)))), SkipReason::Malformed, "{e:?}");
    }
    assert_eq!(skipped(ec("crv", json!("secp256k1"))), SkipReason::UnknownCurve);
    assert_eq!(skipped(ec("crv", json!("P-384"))), SkipReason::Malformed);
    assert_eq!(skipped(ec("x", json!(base64url([1; 32])))), SkipReason::Malformed);
    assert_eq!(skipped(ec("x", json!(base64url([1; 33])))), SkipReason::Malformed);
    assert_eq!(skipped(edited(mint::ed25519(), |jwk| jwk["crv"] = json!("X25519"))), SkipReason::UnknownCurve);
    assert_eq!(skipped(edited(mint::ed25519(), |jwk| jwk["x"] = json!(base64url([1; 31])))), SkipReason::Malformed);
    for value in [json!(null), json!(1), json!("key"), json!([]), json!({})] {
        assert_eq!(skipped(value), SkipReason::Malformed);
    }
}

#[test]
fn one_bad_key_does_not_spoil_the_others() {
    let keys = set(json!([{"kty": "oct", "kid": "s", "k": "AAAA"}, mint::rsa().jwk(), 5, mint::p256().jwk()]));
    assert_eq!((keys.len(), keys.skipped().len()), (2, 2));
    assert_eq!(keys.skipped()[0].key_id.as_deref(), Some("s"));
    assert_eq!(verifies(&keys, mint::p256(), Algorithm::Es256), SignatureCheck::Valid);
}

#[test]
fn key_ids_choose_the_key() {
    let keys = KeySet::parse(&jwks(&[mint::rsa(), mint::other_rsa()])).expect("a key set");
    let signature = mint::rsa().sign("RS256", MESSAGE);
    let check = |key_id| keys.verify(Algorithm::Rs256, key_id, MESSAGE, &signature);
    assert_eq!(check(Some("rsa-1")), SignatureCheck::Valid);
    assert_eq!(check(Some("rsa-2")), SignatureCheck::Invalid);
    assert_eq!(check(Some("rsa-3")), SignatureCheck::UnknownKeyId);
    assert_eq!(check(None), SignatureCheck::Valid);
}

#[test]
fn keys_without_an_id_are_tried_for_every_token() {
    let nameless = edited(mint::rsa(), |jwk| drop(jwk.as_object_mut().expect("an object").remove("kid")));
    let namesake = edited(mint::other_rsa(), |jwk| jwk["kid"] = json!("rsa-1"));
    let beside = set(json!([namesake, nameless]));
    assert_eq!(verifies(&beside, mint::rsa(), Algorithm::Rs256), SignatureCheck::Valid);
    let keys = set(json!([nameless, mint::p256().jwk()]));
    assert_eq!(verifies(&keys, mint::rsa(), Algorithm::Rs256), SignatureCheck::Valid);
    let forged = mint::other_rsa().sign("RS256", MESSAGE);
    assert_eq!(keys.verify(Algorithm::Rs256, Some("new"), MESSAGE, &forged), SignatureCheck::UnknownKeyId);
    assert_eq!(keys.verify(Algorithm::Rs256, None, MESSAGE, &forged), SignatureCheck::Invalid);
}

#[test]
fn two_keys_may_share_an_id() {
    let twin = edited(mint::other_rsa(), |jwk| jwk["kid"] = json!("rsa-1"));
    let keys = set(json!([twin, mint::rsa().jwk()]));
    assert_eq!(verifies(&keys, mint::rsa(), Algorithm::Rs256), SignatureCheck::Valid);
}

#[test]
fn certificates_by_key_id_are_read() {
    let signers = [mint::rsa(), mint::p256(), mint::ed25519()];
    let map: serde_json::Map<String, Value> =
        signers.iter().map(|signer| (signer.key_id.to_owned(), json!(pem(&certificate(signer))))).collect();
    let keys = KeySet::parse(&Value::from(map).to_string()).expect("a key set");
    assert_eq!((keys.len(), keys.skipped()), (3, &[][..]));
    assert_eq!(verifies(&keys, mint::rsa(), Algorithm::Rs256), SignatureCheck::Valid);
    assert_eq!(verifies(&keys, mint::p256(), Algorithm::Es256), SignatureCheck::Valid);
    assert_eq!(verifies(&keys, mint::ed25519(), Algorithm::EdDsa), SignatureCheck::Valid);
}

#[test]
fn a_certificate_that_cannot_be_read_is_skipped() {
    let broken = pem(&certificate(mint::rsa())[..200]);
    let document = json!({"a": pem(&certificate(mint::rsa())), "b": broken, "c": "-----BEGIN PRIVATE KEY-----\n"});
    let keys = KeySet::parse(&document.to_string()).expect("a key set");
    assert_eq!((keys.len(), keys.skipped().len()), (1, 2));
}

#[test]
fn x5c_is_used_only_where_the_numbers_are_absent() {
    let chain = |signer| json!([STANDARD.encode(certificate(signer))]);
    let only_chain = json!({"kty": "RSA", "kid": "rsa-1", "x5c": chain(mint::rsa())});
    assert_eq!(verifies(&set(json!([only_chain])), mint::rsa(), Algorithm::Rs256), SignatureCheck::Valid);
    let both = edited(mint::rsa(), |jwk| jwk["x5c"] = chain(mint::other_rsa()));
    assert_eq!(verifies(&set(json!([both])), mint::rsa(), Algorithm::Rs256), SignatureCheck::Valid);
    assert_eq!(skipped(json!({"kty": "RSA", "x5c": chain(mint::p256())})), SkipReason::Malformed);
    assert_eq!(skipped(json!({"kty": "RSA", "x5c": ["AAAA"]})), SkipReason::Malformed);
}

#[test]
fn documents_of_no_known_form_are_refused() {
    for document in
        ["{}", "[]", "1", "null", r#"{"keys":{}}"#, r#"{"keys":"x"}"#, r#"{"error":"not found"}"#, r#"{"a":1}"#]
    {
        assert_eq!(KeySet::parse(document).err(), Some(KeySetError::UnknownForm), "{document}");
    }
    assert_eq!(KeySet::parse("{").err(), Some(KeySetError::NotJson { line: 1, column: 1 }));
    assert_eq!(KeySet::parse("<html>").err(), Some(KeySetError::NotJson { line: 1, column: 1 }));
    assert!(KeySet::parse(&"[".repeat(100_000)).is_err());
}

#[test]
fn documents_are_bounded() {
    let long = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(MAX_DOCUMENT_BYTES));
    assert!(matches!(KeySet::parse(&long), Err(KeySetError::TooLarge { .. })));
    let many = |count| json!({"keys": vec![json!({"kty": "oct"}); count]}).to_string();
    assert_eq!(KeySet::parse(&many(MAX_KEYS)).expect("a key set").skipped().len(), MAX_KEYS);
    assert_eq!(KeySet::parse(&many(MAX_KEYS + 1)).err(), Some(KeySetError::TooManyKeys { keys: MAX_KEYS + 1 }));
    let map: serde_json::Map<String, Value> =
        (0..=MAX_KEYS).map(|index| (index.to_string(), json!("-----BEGIN CERTIFICATE-----"))).collect();
    let document = Value::from(map).to_string();
    assert_eq!(KeySet::parse(&document).err(), Some(KeySetError::TooManyKeys { keys: MAX_KEYS + 1 }));
}

#[test]
fn a_withdrawn_set_is_empty_not_an_error() {
    let keys = KeySet::parse(r#"{"keys":[]}"#).expect("a key set");
    assert!(keys.is_empty());
}

#[test]
fn sets_are_compared_by_their_keys() {
    let parse = |document: &str| KeySet::parse(document).expect("a key set");
    let one = parse(&jwks(&[mint::rsa()]));
    let both = parse(&jwks(&[mint::p256(), mint::rsa()]));
    assert!(both.includes(&one) && one.includes(&one) && !one.includes(&both));
    let renamed = set(json!([edited(mint::rsa(), |jwk| jwk["kid"] = json!("other"))]));
    let narrowed = set(json!([edited(mint::rsa(), |jwk| jwk["alg"] = json!("RS256"))]));
    let replaced = set(json!([edited(mint::other_rsa(), |jwk| jwk["kid"] = json!("rsa-1"))]));
    for changed in [renamed, narrowed, replaced] {
        assert!(!changed.includes(&one));
    }
}
