use crate::mint::{self, NOW, base64url, claims, claims_with, jwks, unsigned};
use crate::world::{Request, World};
use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tidegate_datapath::authenticate::algorithm::Algorithm;
use tidegate_datapath::authenticate::decide::Decision;
use tidegate_datapath::authenticate::status::AuthStatus;

fn all_signers() -> [&'static mint::Signer; 5] {
    [mint::rsa(), mint::p256(), mint::p384(), mint::p521(), mint::ed25519()]
}

fn world() -> World {
    World::new().keys("main", &jwks(&all_signers()))
}

fn refused(token: &str) -> AuthStatus {
    world().refusal(&Request::bearer(token))
}

#[test]
fn every_algorithm_lets_its_tokens_in() {
    let mut world = world();
    for algorithm in Algorithm::ALL {
        let signer = match algorithm {
            Algorithm::Es256 => mint::p256(),
            Algorithm::Es384 => mint::p384(),
            Algorithm::Es512 => mint::p521(),
            Algorithm::EdDsa => mint::ed25519(),
            _ => mint::rsa(),
        };
        let token = signer.token(algorithm.name(), &claims());
        assert_eq!(world.subject(&Request::bearer(&token)), "user-1", "{}", algorithm.name());
    }
}

#[test]
fn a_public_key_is_no_shared_secret() {
    let jwk = mint::rsa().jwk();
    let (n, _) = mint::rsa().rsa_numbers();
    let der = mint::certificate(mint::rsa());
    for secret in [jwk.to_string().into_bytes(), n, mint::pem(&der).into_bytes(), der] {
        for (name, algorithm) in
            [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
        {
            let signed = unsigned(&json!({"alg": name, "kid": "rsa-1"}).to_string(), &claims().to_string());
            let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), signed.as_bytes());
            assert_eq!(refused(&format!("{signed}.{}", base64url(tag))), AuthStatus::UnsupportedAlgorithm);
            let signed = unsigned(r#"{"alg":"RS256","kid":"rsa-1"}"#, &claims().to_string());
            let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), signed.as_bytes());
            assert_eq!(refused(&format!("{signed}.{}", base64url(tag))), AuthStatus::VerificationFailed);
        }
    }
}

#[test]
fn an_unsigned_token_is_refused() {
    let signed = unsigned(r#"{"alg":"none"}"#, &claims().to_string());
    assert_eq!(refused(&format!("{signed}.")), AuthStatus::Malformed);
    assert_eq!(refused(&format!("{signed}.AAAA")), AuthStatus::UnsupportedAlgorithm);
    let good = mint::rsa().token("RS256", &claims());
    let (_, signature) = good.rsplit_once('.').expect("a signature");
    assert_eq!(refused(&format!("{signed}.{signature}")), AuthStatus::UnsupportedAlgorithm);
}

#[test]
fn a_key_is_not_used_for_another_type_of_algorithm() {
    for (algorithm, key_id) in
        [("ES256", "rsa-1"), ("RS256", "p256-1"), ("ES384", "p256-1"), ("EdDSA", "rsa-1"), ("PS256", "ed-1")]
    {
        for signer in all_signers() {
            let token = signer.token_with(&json!({"alg": algorithm, "kid": key_id}), &claims());
            let expected = match algorithm {
                "EdDSA" if signer.key_id != "ed-1" && signer.key_id != "p256-1" => AuthStatus::Ed25519SignatureLength,
                _ => AuthStatus::NoMatchingKey,
            };
            assert_eq!(refused(&token), expected, "{algorithm} {key_id} signed by {}", signer.key_id);
        }
    }
}

#[test]
fn a_foreign_or_bent_signature_is_refused() {
    let forged = mint::other_rsa().token_with(&json!({"alg": "RS256", "kid": "rsa-1"}), &claims());
    assert_eq!(refused(&forged), AuthStatus::VerificationFailed);
    let good = mint::p256().token("ES256", &claims());
    let mut sections = good.split('.');
    let (header, signature) = (sections.next().expect("a header"), sections.nth(1).expect("a signature"));
    let payload = base64url(claims_with("sub", json!("admin")).to_string());
    assert_eq!(refused(&format!("{header}.{payload}.{signature}")), AuthStatus::VerificationFailed);
}

#[test]
fn a_token_without_a_key_id_is_tried_with_all_keys() {
    let token = mint::p521().token_with(&json!({"alg": "ES512"}), &claims());
    assert_eq!(world().subject(&Request::bearer(&token)), "user-1");
    let empty = mint::p521().token_with(&json!({"alg": "ES512", "kid": ""}), &claims());
    assert_eq!(world().subject(&Request::bearer(&empty)), "user-1");
}

#[test]
fn claims_are_checked() {
    let cases = [
        ("exp", json!(NOW - 61), AuthStatus::Expired),
        ("nbf", json!(NOW + 61), AuthStatus::NotYetValid),
        ("iss", json!("https://issuer.example/"), AuthStatus::UnknownIssuer),
        ("iss", json!("HTTPS://ISSUER.EXAMPLE"), AuthStatus::UnknownIssuer),
        ("iss", json!(""), AuthStatus::UnknownIssuer),
        ("iss", Value::Null, AuthStatus::UnknownIssuer),
        ("iss", json!(["https://issuer.example"]), AuthStatus::IssuerNotString),
        ("aud", json!("https://other.example"), AuthStatus::AudienceNotAllowed),
        ("aud", json!([]), AuthStatus::AudienceNotAllowed),
        ("aud", json!(""), AuthStatus::AudienceNotAllowed),
        ("aud", Value::Null, AuthStatus::AudienceNotAllowed),
        ("aud", json!("https://api.example.evil"), AuthStatus::AudienceNotAllowed),
        ("aud", json!("https://api.example//"), AuthStatus::AudienceNotAllowed),
    ];
    for (name, value, expected) in cases {
        let token = mint::p256().token("ES256", &claims_with(name, value.clone()));
        assert_eq!(refused(&token), expected, "{name} {value}");
    }
    let passing = [
        ("exp", json!(NOW - 60)),
        ("exp", Value::Null),
        ("nbf", json!(NOW + 60)),
        ("aud", json!(["https://other.example", "https://api.example"])),
        ("aud", json!("http://api.example")),
        ("aud", json!("api.example")),
        ("aud", json!("api.example/")),
        ("aud", json!("https://api.example/")),
    ];
    for (name, value) in passing {
        let token = mint::p256().token("ES256", &claims_with(name, value.clone()));
        assert_eq!(world().subject(&Request::bearer(&token)), "user-1", "{name} {value}");
    }
}

#[test]
fn claims_are_checked_before_the_signature() {
    let forged = |payload: &Value| mint::other_rsa().token_with(&json!({"alg": "RS256", "kid": "rsa-1"}), payload);
    assert_eq!(refused(&forged(&claims_with("exp", json!(1)))), AuthStatus::Expired);
    assert_eq!(refused(&forged(&claims_with("aud", json!("x")))), AuthStatus::AudienceNotAllowed);
    assert_eq!(refused(&forged(&claims_with("iss", json!("x")))), AuthStatus::UnknownIssuer);
}

#[test]
fn a_provider_without_audiences_takes_any() {
    let providers = json!({"providers": [{"id": "main", "issuer": "https://issuer.example"}]});
    let mut world =
        World::with(providers, json!({"requirements": [{"provider": "main"}]})).keys("main", &jwks(&[mint::p256()]));
    for audience in [json!("x"), json!([]), Value::Null] {
        let token = mint::p256().token("ES256", &claims_with("aud", audience));
        assert_eq!(world.subject(&Request::bearer(&token)), "user-1");
    }
}

#[test]
fn a_requirement_may_ask_for_its_own_audiences() {
    let mut world = world();
    world.rules(json!({"requirements": [{"provider": "main", "audiences": ["admin"]}]}));
    let ordinary = mint::p256().token("ES256", &claims());
    assert_eq!(world.refusal(&Request::bearer(&ordinary)), AuthStatus::AudienceNotAllowed);
    let admin = mint::p256().token("ES256", &claims_with("aud", json!("admin")));
    assert_eq!(world.subject(&Request::bearer(&admin)), "user-1");
    world.rules(json!({"requirements": [{"provider": "main"}]}));
    assert_eq!(world.refusal(&Request::bearer(&admin)), AuthStatus::AudienceNotAllowed, "also when it is cached");
}

#[test]
fn the_issuer_picks_the_provider() {
    let providers = json!({"providers": [
        {"id": "one", "issuer": "https://one.example", "audiences": ["a1"]},
        {"id": "two", "issuer": "https://two.example", "audiences": ["a2"]},
    ]});
    let rules = json!({"requirements": [{"provider": "one"}, {"provider": "two"}]});
    let mut world =
        World::with(providers, rules).keys("one", &jwks(&[mint::rsa()])).keys("two", &jwks(&[mint::p256()]));
    let payload = |issuer: &str, audience: &str| json!({"iss": issuer, "aud": audience, "sub": issuer, "exp": NOW + 9});
    let one = mint::rsa().token("RS256", &payload("https://one.example", "a1"));
    let two = mint::p256().token("ES256", &payload("https://two.example", "a2"));
    assert_eq!(world.subject(&Request::bearer(&one)), "https://one.example");
    assert_eq!(world.subject(&Request::bearer(&two)), "https://two.example");
    let crossed = mint::p256().token("ES256", &payload("https://one.example", "a1"));
    assert_eq!(world.ask_after_wait(&Request::bearer(&crossed)), Decision::Deny(AuthStatus::NoMatchingKey));
    let wrong_audience = mint::p256().token("ES256", &payload("https://two.example", "a1"));
    assert_eq!(world.refusal(&Request::bearer(&wrong_audience)), AuthStatus::AudienceNotAllowed);
    world.rules(json!({"requirements": [{"provider": "one"}]}));
    assert_eq!(world.refusal(&Request::bearer(&two)), AuthStatus::UnknownIssuer);
}

#[test]
fn two_providers_may_share_an_issuer() {
    let providers = json!({"providers": [
        {"id": "old", "issuer": "https://issuer.example"},
        {"id": "new", "issuer": "https://issuer.example"},
    ]});
    let rules = json!({"requirements": [{"provider": "old"}, {"provider": "new"}]});
    let mut world =
        World::with(providers, rules).keys("old", &jwks(&[mint::rsa()])).keys("new", &jwks(&[mint::p256()]));
    let token = mint::p256().token("ES256", &claims());
    assert_eq!(world.subject(&Request::bearer(&token)), "user-1");
    world.rules(json!({"requirements": [{"provider": "old"}]}));
    assert_eq!(
        world.ask_after_wait(&Request::bearer(&token)),
        Decision::Deny(AuthStatus::NoMatchingKey),
        "though it is cached"
    );
}

#[test]
fn without_a_credential_only_where_that_is_allowed() {
    let mut world = world();
    assert_eq!(world.refusal(&Request::default()), AuthStatus::Missing);
    world.rules(json!({"requirements": [{"provider": "main"}], "allow_without_credential": true}));
    assert_eq!(world.ask(&Request::default()), Decision::Allow { caller: None });
    assert_eq!(world.refusal(&Request::bearer("x.y.z")), AuthStatus::HeaderBadBase64);
    let expired = mint::p256().token("ES256", &claims_with("exp", json!(1)));
    assert_eq!(world.refusal(&Request::bearer(&expired)), AuthStatus::Expired);
    let foreign = mint::p256().token("ES256", &claims_with("iss", json!("x")));
    assert_eq!(world.refusal(&Request::bearer(&foreign)), AuthStatus::UnknownIssuer);
    let good = mint::p256().token("ES256", &claims());
    assert_eq!(world.subject(&Request::bearer(&good)), "user-1");
}

#[test]
fn without_requirements_nobody_is_asked() {
    let mut world = world();
    world.rules(json!({}));
    for request in [Request::default(), Request::bearer("rubbish")] {
        assert_eq!(world.ask(&request), Decision::Allow { caller: None });
    }
}

#[test]
fn deny_outranks_everything() {
    let mut world = world();
    let rules =
        json!({"deny": [403, "closed"], "requirements": [{"provider": "main"}], "allow_without_credential": true});
    world.rules(rules);
    let good = mint::p256().token("ES256", &claims());
    for request in [Request::default(), Request::bearer(&good)] {
        let status = world.refusal(&request);
        assert_eq!((status.http_status(), status.message(), status.reason()), (403, "closed", "access-denied"));
    }
}

#[test]
fn compilation_reports_every_fault() {
    let document = crate::world::authentication(json!({"providers": [
        {"id": "a", "issuer": "https://a.example", "audiences": ["https://"]},
        {"id": "a", "issuer": ""},
        {"id": "", "issuer": "b", "locations": [{"header": {"name": "a b"}}, {"query": {"name": ""}}, {"cookie": {"name": "a;b"}}]},
    ]}));
    let errors = tidegate_datapath::authenticate::decide::Authenticator::compile(&document).expect_err("faults");
    let paths: Vec<_> = errors.iter().filter_map(|error| error.split_once(": ")).map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        [
            "authentication.providers[0].audiences",
            "authentication.providers[1].id",
            "authentication.providers[1].issuer",
            "authentication.providers[2].id",
            "authentication.providers[2].locations[0]",
            "authentication.providers[2].locations[1]",
            "authentication.providers[2].locations[2]",
        ]
    );
    let rules = crate::world::access(json!({
        "requirements": [{"provider": "main"}, {"provider": "gone"}, {"provider": "main", "audiences": [""]}],
        "deny": [200, "fine"],
    }));
    let errors = world().authenticator.compile_access(&rules, "methods[3].access").expect_err("faults");
    assert_eq!(
        errors,
        [
            "methods[3].access.deny: 200 is no HTTP error status",
            "methods[3].access.requirements[1].provider: there is no provider \"gone\"",
            "methods[3].access.requirements[2].audiences: \"\" names no audience",
        ]
    );
}
