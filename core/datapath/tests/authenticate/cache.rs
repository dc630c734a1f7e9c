use crate::mint;
use crate::mint::{NOW, claims_with, jwks};
use crate::world::{Request, World, authentication};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tidegate_datapath::authenticate::cache::{Caller, MAX_AGE_WITHOUT_EXPIRY, TokenCache, Verified};
use tidegate_datapath::authenticate::decide::Authenticator;
use tidegate_datapath::authenticate::keys::KeySet;
use tidegate_datapath::authenticate::store::KeyStore;
use tidegate_datapath::authenticate::token::Claims;

fn store(providers: usize) -> KeyStore {
    let providers: Vec<_> =
        (0..providers).map(|index| json!({"id": index.to_string(), "issuer": index.to_string()})).collect();
    let authenticator = Authenticator::compile(&authentication(json!({"providers": providers}))).expect("providers");
    KeyStore::new(authenticator.providers(), None)
}

fn verified(store: &KeyStore, provider: usize, expires: Option<u64>, now: u64) -> Verified {
    let claims = Claims {
        issuer: "i".to_owned(),
        subject: None,
        audiences: Vec::new(),
        email: None,
        expires,
        not_before: None,
        issued_at: None,
    };
    let caller = Caller { claims, userinfo: Box::default(), limit_keys: Box::default() };
    Verified::new(provider, store.generation(provider), Arc::new(caller), 60, now)
}

fn put(cache: &mut TokenCache, token: &[u8], entry: Verified) {
    let hash = cache.hash(token);
    cache.insert(hash, token, entry);
}

fn get(cache: &mut TokenCache, token: &[u8], now: u64, store: &KeyStore) -> bool {
    let hash = cache.hash(token);
    cache.lookup(hash, token, now, store).is_some()
}

#[test]
fn a_token_is_found_by_all_its_bytes() {
    let (store, mut cache) = (store(1), TokenCache::new(10));
    put(&mut cache, b"token", verified(&store, 0, Some(NOW), NOW));
    assert!(get(&mut cache, b"token", NOW, &store));
    for other in [&b"tokem"[..], b"toke", b"token.", b"", b"\0oken"] {
        assert!(!get(&mut cache, other, NOW, &store));
        let hash = cache.hash(b"token");
        assert!(cache.lookup(hash, other, NOW, &store).is_none(), "the same hash is not enough");
    }
    assert!(get(&mut cache, b"token", NOW, &store));
}

#[test]
fn a_byte_does_not_stand_for_a_length() {
    let (store, mut cache) = (store(1), TokenCache::new(10));
    let tokens = [&b""[..], b"\x01", b"\x02\0", b"\x03\0\0"];
    for token in tokens {
        put(&mut cache, token, verified(&store, 0, Some(NOW), NOW));
    }
    assert!(tokens.iter().all(|token| get(&mut cache, token, NOW, &store)));
}

#[test]
fn tokens_that_differ_before_their_end_are_different_tokens() {
    let (store, mut cache) = (store(1), TokenCache::new(10));
    let tail = "s".repeat(100);
    let (one, two) = (format!("a{tail}"), format!("b{tail}"));
    put(&mut cache, one.as_bytes(), verified(&store, 0, Some(NOW), NOW));
    assert!(!get(&mut cache, two.as_bytes(), NOW, &store));
    assert!(get(&mut cache, one.as_bytes(), NOW, &store));
}

#[test]
fn a_token_without_an_expiry_is_verified_again_after_five_minutes() {
    let (store, mut cache) = (store(1), TokenCache::new(10));
    put(&mut cache, b"token", verified(&store, 0, None, NOW));
    assert!(get(&mut cache, b"token", NOW + MAX_AGE_WITHOUT_EXPIRY, &store));
    assert!(!get(&mut cache, b"token", NOW + MAX_AGE_WITHOUT_EXPIRY + 1, &store));
}

#[test]
fn recently_used_tokens_outlive_others() {
    let (store, mut cache) = (store(1), TokenCache::new(4));
    let name = |index: usize| format!("token-{index}").into_bytes();
    for index in 0..1_000 {
        put(&mut cache, &name(index), verified(&store, 0, Some(NOW), NOW));
        assert!(get(&mut cache, &name(0), NOW, &store), "after {index}");
        assert!(cache.len() <= 4);
    }
}

#[test]
fn a_cache_of_no_size_keeps_nothing() {
    let (store, mut cache) = (store(1), TokenCache::new(0));
    put(&mut cache, b"token", verified(&store, 0, Some(NOW), NOW));
    assert!(cache.is_empty() && !get(&mut cache, b"token", NOW, &store));
}

#[test]
fn a_cached_token_expires_on_time() {
    let mut world = World::new().keys("main", &jwks(&[mint::p256()]));
    let request = Request::bearer(&mint::p256().token("ES256", &claims_with("exp", json!(NOW + 10))));
    assert_eq!(world.subject(&request), "user-1");
    world.now = NOW + 70;
    assert_eq!(world.subject(&request), "user-1");
    world.now = NOW + 71;
    assert_eq!(world.refusal(&request).reason(), "jwt-expired");
    assert!(world.cache.is_empty());
}

#[test]
fn other_settings_empty_the_cache() {
    let request = Request::bearer(&mint::p256().token("ES256", &claims_with("exp", json!(NOW))));
    let world = |settings: Value| {
        let mut providers = json!({"providers": [{"id": "main", "issuer": "https://issuer.example"}]});
        providers.as_object_mut().expect("an object").extend(settings.as_object().expect("an object").clone());
        World::with(providers, json!({"requirements": [{"provider": "main"}]}))
    };
    let mut former = world(json!({})).keys("main", &jwks(&[mint::p256()]));
    former.now = NOW + 30;
    let mut infos = vec![former.info(&request)];
    for settings in [json!({"userinfo_format": "espv1"}), json!({"userinfo_format": "espv1"})] {
        let mut next = world(settings);
        next.now = NOW + 30;
        next.store = KeyStore::new(next.authenticator.providers(), Some(&former.store));
        next.cache = former.cache;
        infos.push(next.info(&request));
        former = next;
    }
    assert!(infos[0] != infos[1] && infos[1] == infos[2]);
    let mut strict = world(json!({"userinfo_format": "espv1", "clock_skew_s": 10}));
    strict.now = NOW + 30;
    strict.store = KeyStore::new(strict.authenticator.providers(), Some(&former.store));
    strict.cache = former.cache;
    assert_eq!(strict.refusal(&request).reason(), "jwt-expired");
}

#[test]
fn refusals_are_not_kept() {
    let mut world = World::new().keys("main", &jwks(&[mint::p256()]));
    for payload in [claims_with("exp", json!(1)), claims_with("aud", Value::Null), claims_with("iss", json!("x"))] {
        world.refusal(&Request::bearer(&mint::p256().token("ES256", &payload)));
    }
    let forged = mint::p256_der().token_with(&json!({"alg": "ES256", "kid": "p256-1"}), &mint::claims());
    world.refusal(&Request::bearer(&forged));
    assert!(world.cache.is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Insert { token: u8, provider: usize, lifetime: Option<u64> },
    Look { token: u8 },
    Rotate { provider: usize },
    Refresh { provider: usize },
    Drop { provider: usize },
    Pass { seconds: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (any::<u8>(), 0..3_usize, prop::option::of(0..900_u64))
            .prop_map(|(token, provider, lifetime)| Step::Insert { token: token % 24, provider, lifetime }),
        6 => any::<u8>().prop_map(|token| Step::Look { token: token % 24 }),
        1 => (0..3_usize).prop_map(|provider| Step::Rotate { provider }),
        1 => (0..3_usize).prop_map(|provider| Step::Refresh { provider }),
        1 => (0..3_usize).prop_map(|provider| Step::Drop { provider }),
        2 => (0..200_u64).prop_map(|seconds| Step::Pass { seconds }),
    ]
}

proptest! {
    #[test]
    fn a_hit_is_never_expired_nor_of_former_keys(capacity in 1..9_usize, steps in prop::collection::vec(step(), 1..200)) {
        let store = store(3);
        let mut cache = TokenCache::new(capacity);
        let mut now = NOW;
        let signers = [mint::p256(), mint::p384()];
        let mut current = [0; 3];
        let set = |provider: usize, signer: usize, now: u64| {
            store.set(provider, KeySet::parse(&jwks(&[signers[signer]])).expect("a key set"), now);
        };
        (0..3).for_each(|provider| set(provider, 0, now));
        // What a cache without bounds would hold: the last moment, and how often the provider's keys had gone by then.
        let mut model: HashMap<u8, (u64, usize, usize)> = HashMap::new();
        let mut gone = [0; 3];
        for step in steps {
            match step {
                Step::Insert { token, provider, lifetime } => {
                    let expires = lifetime.map(|lifetime| now + lifetime);
                    put(&mut cache, &[token; 70], verified(&store, provider, expires, now));
                    let until = expires.map_or(now + MAX_AGE_WITHOUT_EXPIRY, |expires| expires + 60);
                    model.insert(token, (until, provider, gone[provider]));
                }
                Step::Look { token } => {
                    let hash = cache.hash(&[token; 70]);
                    if let Some(found) = cache.lookup(hash, &[token; 70], now, &store) {
                        let (until, provider, when) = model[&token];
                        prop_assert_eq!(found.provider, provider);
                        prop_assert!(now <= until, "expired at {}, now {}", until, now);
                        prop_assert_eq!(when, gone[provider]);
                    }
                }
                Step::Rotate { provider } => {
                    current[provider] = 1 - current[provider];
                    gone[provider] += 1;
                    set(provider, current[provider], now);
                }
                Step::Refresh { provider } => set(provider, current[provider], now),
                Step::Drop { provider } => {
                    gone[provider] += 1;
                    store.drop_keys(provider);
                }
                Step::Pass { seconds } => now += seconds,
            }
            prop_assert!(cache.len() <= capacity);
        }
    }

    #[test]
    fn what_fits_is_found(tokens in prop::collection::hash_set(prop::collection::vec(any::<u8>(), 0..120), 1..40)) {
        let store = store(1);
        let mut cache = TokenCache::new(tokens.len());
        for token in &tokens {
            put(&mut cache, token, verified(&store, 0, Some(NOW), NOW));
        }
        for token in &tokens {
            prop_assert!(get(&mut cache, token, NOW, &store));
        }
    }
}
