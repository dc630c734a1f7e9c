//! Whatever the bytes: no panic, and no caller let in.

use crate::mint::{self, base64url, claims, jwks, unsigned};
use crate::world::{Request, World};
use proptest::prelude::*;
use tidegate_datapath::authenticate::decide::Decision;
use tidegate_datapath::authenticate::keys::KeySet;
use tidegate_datapath::authenticate::token::Token;

fn json_like() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "alg", "kid", "crit", "iss", "sub", "aud", "exp", "nbf", "iat", "jti", "email", "x", "keys", "kty", "n", "e",
        "crv", "y", "use", "x5c",
    ]);
    let text = prop::sample::select(vec![
        "RS256",
        "ES256",
        "EdDSA",
        "none",
        "HS256",
        "RSA",
        "EC",
        "OKP",
        "oct",
        "AQAB",
        "P-256",
        "Ed25519",
        "https://issuer.example",
        "",
    ]);
    let leaf = prop_oneof![
        text.prop_map(|text| format!("{text:?}")),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:e}")),
        prop::sample::select(vec!["null", "true", "-0", "1e999", "\"\\ud800\"", "\"\\u0000\"", ""])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec((name.clone(), inner), 0..8).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(name, value)| format!("{name:?}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_no_token(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Token::parse(&bytes);
    }

    #[test]
    fn arbitrary_sections_are_survived(header in json_like(), payload in json_like(), signature in prop::collection::vec(any::<u8>(), 0..80)) {
        let token = format!("{}.{}", unsigned(&header, &payload), base64url(signature));
        let mut world = World::new().keys("main", &jwks(&[mint::p256(), mint::ed25519()]));
        let decision = world.ask(&Request::bearer(&token));
        let let_in = matches!(decision, Decision::Allow { .. });
        prop_assert!(!let_in);
    }

    #[test]
    fn arbitrary_key_documents_are_survived(document in json_like(), text in ".{0,200}") {
        let _ = KeySet::parse(&document);
        let _ = KeySet::parse(&text);
        let _ = KeySet::parse(&format!("{{\"keys\":[{document}]}}"));
    }

    #[test]
    fn arbitrary_requests_are_survived(
        header in prop::collection::vec(any::<u8>(), 0..60),
        query in "[a-z_=&%0-9+;.]{0,60}",
        cookie in "[a-z=; \"]{0,60}",
    ) {
        let mut world = World::new().keys("main", &jwks(&[mint::p256()]));
        let bearer = [b"Bearer ", &header[..]].concat();
        for request in [
            Request::default().header("authorization", header),
            Request::default().header("authorization", bearer).header("cookie", cookie),
            Request::default().query(query),
        ] {
            let let_in = matches!(world.ask(&request), Decision::Allow { .. });
            prop_assert!(!let_in);
        }
    }

    #[test]
    fn one_changed_byte_spoils_a_token(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        static TOKEN: std::sync::OnceLock<String> = std::sync::OnceLock::new();
        let good = TOKEN.get_or_init(|| mint::p256().token("ES256", &claims()));
        let mut bytes = good.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte);
        bytes[at] = byte;
        let mut world = World::new().keys("main", &jwks(&[mint::p256()]));
        prop_assert_eq!(world.subject(&Request::bearer(good)), "user-1");
        let value = [b"Bearer ", &bytes[..]].concat();
        let decision = world.ask_after_wait(&Request::default().header("authorization", value));
        let refused = matches!(decision, Decision::Deny(_));
        prop_assert!(refused, "byte {} as {}", at, byte);
    }
}
