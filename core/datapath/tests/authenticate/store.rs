use crate::mint::{self, NOW, claims, jwks};
use crate::world::{Request, World, authentication};
use serde_json::{Value, json};
use tidegate_datapath::authenticate::cache::TokenCache;
use tidegate_datapath::authenticate::decide::{Authenticator, Decision};
use tidegate_datapath::authenticate::keys::KeySet;
use tidegate_datapath::authenticate::store::{FETCH_INTERVAL, KeyStore, REMEMBERED};

fn authenticator(providers: Value) -> Authenticator {
    Authenticator::compile(&authentication(json!({"providers": providers}))).expect("providers that compile")
}

fn keys(signers: &[&mint::Signer]) -> KeySet {
    KeySet::parse(&jwks(signers)).expect("a key set")
}

fn has_keys(store: &KeyStore, provider: &str) -> bool {
    store.usable_keys(store.index_of(provider).expect("a provider")) == Some(1)
}

#[test]
fn workers_can_share_a_store() {
    fn shared<T: Send + Sync>() {}
    shared::<KeyStore>();
    shared::<Authenticator>();
    shared::<tidegate_datapath::authenticate::decide::CompiledAccess>();
}

#[test]
fn keys_survive_a_new_snapshot_of_the_same_provider() {
    let before =
        authenticator(json!([{"id": "a", "issuer": "ia"}, {"id": "b", "issuer": "ib"}, {"id": "c", "issuer": "ic"}]));
    let store = KeyStore::new(before.providers(), None);
    for provider in 0..3 {
        store.set(provider, keys(&[mint::p256()]), NOW);
    }
    let after = authenticator(
        json!([{"id": "c", "issuer": "ic"}, {"id": "a", "issuer": "moved"}, {"id": "b2", "issuer": "ib"}]),
    );
    let next = KeyStore::new(after.providers(), Some(&store));
    assert_eq!(["c", "a", "b2"].map(|provider| has_keys(&next, provider)), [true, false, false]);
    assert_eq!(next.generation(0), store.generation(2));
    store.drop_keys(2);
    assert!(!has_keys(&next, "c"), "what is set on one is seen by the other");
    assert_eq!((next.index_of("b"), next.provider_id(2), next.provider_id(3)), (None, Some("b2"), None));
}

#[test]
fn the_generation_changes_when_a_key_goes_and_only_then() {
    let world = World::new();
    let set = |signers: &[&mint::Signer]| {
        let before = world.store.generation(0);
        world.store.set(0, keys(signers), NOW);
        world.store.generation(0) != before
    };
    assert!(set(&[mint::p256()]), "the first keys");
    assert!(!set(&[mint::p256()]), "the same");
    assert!(!set(&[mint::rsa(), mint::p256()]), "one more");
    assert!(set(&[mint::rsa()]), "one gone");
    assert!(set(&[]), "all gone");
    assert!(!set(&[mint::rsa()]), "nothing was good before");
    let before = world.store.generation(0);
    world.store.fail(0);
    assert_eq!(world.store.generation(0), before);
    world.store.drop_keys(0);
    assert_ne!(world.store.generation(0), before);
}

#[test]
fn providers_that_do_not_exist_are_harmless() {
    let world = World::new();
    world.store.set(7, keys(&[]), NOW);
    world.store.fail(7);
    world.store.drop_keys(7);
    assert_eq!(world.store.generation(7), 0);
    assert!(world.store.usable_keys(7).is_none());
    assert!(!world.store.ask(7, None, NOW) && !world.store.is_worth_waiting(7, None, NOW));
}

#[test]
fn a_token_is_verified_anew_when_its_key_goes() {
    let mut world = World::new().keys("main", &jwks(&[mint::p256(), mint::rsa()]));
    let request = Request::bearer(&mint::p256().token("ES256", &claims()));
    assert_eq!(world.subject(&request), "user-1");
    assert_eq!(world.cache.len(), 1);
    world.set_keys("main", &jwks(&[mint::rsa()]));
    assert!(matches!(world.ask(&request), Decision::Wait { .. }));
    assert!(world.cache.is_empty());
}

#[test]
fn a_cached_token_does_not_cross_to_another_snapshots_provider() {
    let mut world = World::new().keys("main", &jwks(&[mint::p256()]));
    let request = Request::bearer(&mint::p256().token("ES256", &claims()));
    assert_eq!(world.subject(&request), "user-1");
    let mut cache = std::mem::replace(&mut world.cache, TokenCache::new(0));
    let mut next = World::new();
    next.cache = cache;
    assert_eq!(next.ask(&request), Decision::Wait { provider: 0, key_id: None });
    cache = next.cache;
    assert!(cache.is_empty());
}

#[test]
fn remembered_key_ids_are_bounded() {
    let world = World::new().keys("main", &jwks(&[mint::p256()]));
    let mut most = 0;
    for index in 0..500 {
        let (now, key_id) = (NOW + index * FETCH_INTERVAL, format!("forged-{index}"));
        assert!(world.store.ask(0, Some(&key_id), now));
        world.store.set(0, keys(&[mint::p256()]), now);
        most = most.max(world.store.remembered(0) as u64);
    }
    assert_eq!(most, REMEMBERED / FETCH_INTERVAL);
}
