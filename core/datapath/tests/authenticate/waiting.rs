use crate::mint::{self, claims, jwks};
use crate::world::{Request, World};
use serde_json::json;
use tidegate_datapath::authenticate::decide::Decision;
use tidegate_datapath::authenticate::status::AuthStatus;
use tidegate_datapath::authenticate::store::{FETCH_INTERVAL, MAX_KEY_ID_BYTES, REMEMBERED};

fn with_key_id(key_id: &str) -> Request {
    Request::bearer(&mint::p256().token_with(&json!({"alg": "ES256", "kid": key_id}), &claims()))
}

fn wait(key_id: Option<&str>) -> Decision {
    Decision::Wait { provider: 0, key_id: key_id.map(str::to_owned) }
}

#[test]
fn requests_wait_for_the_first_keys() {
    let mut world = World::new();
    let request = Request::bearer(&mint::p256().token("ES256", &claims()));
    assert_eq!(world.ask(&request), wait(None));
    assert_eq!(world.ask_after_wait(&request), Decision::Deny(AuthStatus::KeysFetchFailed));
    world.set_keys("main", &jwks(&[mint::p256()]));
    assert_eq!(world.subject(&request), "user-1");
}

#[test]
fn a_failed_first_fetch_refuses_and_a_later_one_admits() {
    let mut world = World::new();
    let request = Request::bearer(&mint::p256().token("ES256", &claims()));
    world.store.fail(0);
    assert_eq!(world.refusal(&request), AuthStatus::KeysFetchFailed);
    world.set_keys("main", &jwks(&[mint::p256()]));
    assert_eq!(world.subject(&request), "user-1");
    world.store.fail(0);
    assert_eq!(world.subject(&request), "user-1", "a failed refresh leaves the keys");
    world.store.drop_keys(0);
    assert_eq!(world.refusal(&request), AuthStatus::KeysFetchFailed, "dropped keys take their cached tokens with them");
}

#[test]
fn nobody_waits_for_a_token_that_is_refused_anyway() {
    let mut world = World::new();
    let payload = mint::claims_with("exp", json!(1));
    let expired = Request::bearer(&mint::p256().token("ES256", &payload));
    assert_eq!(world.refusal(&expired), AuthStatus::Expired);
    let good = mint::p256().token("ES256", &claims());
    let one_bad = Request::bearer(&good).query("access_token=x");
    assert_eq!(world.refusal(&one_bad), AuthStatus::Malformed);
}

#[test]
fn a_new_key_is_waited_for_and_found() {
    let mut world = World::new().keys("main", &jwks(&[mint::rsa()]));
    let request = Request::bearer(&mint::p256().token("ES256", &claims()));
    assert_eq!(world.ask(&request), wait(Some("p256-1")));
    assert!(world.store.ask(0, Some("p256-1"), world.now));
    assert!(!world.store.ask(0, Some("p256-1"), world.now), "one fetch is enough");
    assert_eq!(world.ask(&request), wait(Some("p256-1")), "others join the wait");
    world.set_keys("main", &jwks(&[mint::rsa(), mint::p256()]));
    assert_eq!(world.subject(&request), "user-1");
}

#[test]
fn a_wait_for_the_first_keys_does_not_put_off_the_next() {
    let mut world = World::new();
    assert!(world.store.ask(0, None, world.now));
    assert!(!world.store.ask(0, None, world.now), "one fetch is enough");
    world.set_keys("main", &jwks(&[mint::rsa()]));
    let request = Request::bearer(&mint::p256().token("ES256", &claims()));
    assert_eq!(world.ask(&request), wait(Some("p256-1")));
    assert!(world.store.ask(0, Some("p256-1"), world.now));
}

#[test]
fn a_key_id_that_a_fetch_did_not_bring_is_remembered() {
    let mut world = World::new().keys("main", &jwks(&[mint::p256()]));
    let forged = with_key_id("forged");
    assert_eq!(world.ask(&forged), wait(Some("forged")));
    assert!(world.store.ask(0, Some("forged"), world.now));
    world.set_keys("main", &jwks(&[mint::p256()]));
    assert_eq!(world.ask_after_wait(&forged), Decision::Deny(AuthStatus::NoMatchingKey));
    assert_eq!(world.refusal(&forged), AuthStatus::NoMatchingKey);
    world.now += REMEMBERED - 1;
    assert_eq!(world.refusal(&forged), AuthStatus::NoMatchingKey);
    assert!(!world.store.ask(0, Some("forged"), world.now));
    world.now += 1;
    assert_eq!(world.ask(&forged), wait(Some("forged")), "after a while it may be real");
}

#[test]
fn made_up_key_ids_cause_one_fetch_per_interval() {
    let mut world = World::new().keys("main", &jwks(&[mint::p256()]));
    let mut fetches = 0;
    let start = world.now;
    for second in 0..60 {
        world.now = start + second;
        for index in 0..5 {
            let key_id = format!("forged-{second}-{index}");
            if let Decision::Wait { key_id, .. } = world.ask(&with_key_id(&key_id)) {
                if world.store.ask(0, key_id.as_deref(), world.now) {
                    fetches += 1;
                    world.set_keys("main", &jwks(&[mint::p256()]));
                }
                assert_eq!(world.ask_after_wait(&with_key_id("x")), Decision::Deny(AuthStatus::NoMatchingKey));
            }
        }
    }
    assert_eq!(fetches, 60 / FETCH_INTERVAL);
}

#[test]
fn a_lost_fetch_is_asked_for_again() {
    let mut world = World::new().keys("main", &jwks(&[mint::p256()]));
    assert!(world.store.ask(0, Some("new"), world.now));
    assert_eq!(world.ask(&with_key_id("other")), wait(Some("other")), "a fetch is under way");
    world.now += FETCH_INTERVAL;
    assert!(world.store.ask(0, Some("new"), world.now));
}

#[test]
fn a_failed_fetch_does_not_condemn_the_key_id() {
    let mut world = World::new().keys("main", &jwks(&[mint::p256()]));
    assert!(world.store.ask(0, Some("new"), world.now));
    world.store.fail(0);
    assert_eq!(world.refusal(&with_key_id("new")), AuthStatus::NoMatchingKey, "not again within the interval");
    world.set_keys("main", &jwks(&[mint::p256()]));
    world.now += FETCH_INTERVAL;
    assert_eq!(world.ask(&with_key_id("new")), wait(Some("new")));
}

#[test]
fn a_clock_that_was_set_back_does_not_stop_fetches() {
    let mut world = World::new().keys("main", &jwks(&[mint::p256()]));
    assert!(world.store.ask(0, Some("forged"), world.now));
    world.set_keys("main", &jwks(&[mint::p256()]));
    world.now -= 1_000;
    assert_eq!(world.ask(&with_key_id("forged")), wait(Some("forged")));
    assert!(world.store.ask(0, Some("forged"), world.now));
}

#[test]
fn a_known_key_that_does_not_fit_is_not_waited_for() {
    let mut world = World::new().keys("main", &jwks(&[mint::p256(), mint::rsa()]));
    assert_eq!(world.refusal(&with_key_id("rsa-1")), AuthStatus::NoMatchingKey);
    let nameless = mint::ed25519().token_with(&json!({"alg": "EdDSA"}), &claims());
    assert_eq!(world.refusal(&Request::bearer(&nameless)), AuthStatus::NoMatchingKey);
    assert_eq!(world.refusal(&with_key_id(&"k".repeat(MAX_KEY_ID_BYTES + 1))), AuthStatus::NoMatchingKey);
}

#[test]
fn an_empty_key_set_is_named_as_such() {
    let mut world = World::new().keys("main", r#"{"keys":[]}"#);
    let nameless = mint::p256().token_with(&json!({"alg": "ES256"}), &claims());
    assert_eq!(world.refusal(&Request::bearer(&nameless)), AuthStatus::NoValidKeys);
    assert_eq!(world.ask_after_wait(&with_key_id("k")), Decision::Deny(AuthStatus::NoValidKeys));
}
