use crate::mint::{self, NOW, claims, jwks};
use crate::world::{Request, World};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde_json::{Value, json};
use tidegate_datapath::authenticate::decide::Decision;

fn userinfo(format: &str, payload: &Value) -> (String, String) {
    let provider = json!({"id": "main", "issuer": "https://issuer.example"});
    let providers = json!({"providers": [provider], "userinfo_format": format});
    let mut world =
        World::with(providers, json!({"requirements": [{"provider": "main"}]})).keys("main", &jwks(&[mint::p256()]));
    let token = mint::p256().token("ES256", payload);
    let Decision::Allow { caller: Some(caller) } = world.ask(&Request::bearer(&token)) else {
        panic!("no user info");
    };
    (String::from_utf8(caller.userinfo.to_vec()).expect("ASCII"), token)
}

#[test]
fn esp_v2_passes_the_payload_segment_on() {
    let (value, token) = userinfo("espv2", &claims());
    assert_eq!(Some(value.as_str()), token.split('.').nth(1));
}

#[test]
fn esp_v1_wraps_the_payload_as_a_string() {
    let payload = json!({
        "iss": "https://issuer.example", "sub": "user-\"1\"", "email": "a@b.example", "aud": ["z", "a", "z"], "exp": NOW + 9,
        "role": {"admin": true},
    });
    let (value, _) = userinfo("espv1", &payload);
    assert_eq!(value.len() % 4, 0, "padded");
    let text = String::from_utf8(URL_SAFE.decode(value).expect("base64url")).expect("UTF-8");
    let info: Value = serde_json::from_str(&text).expect("JSON");
    let inner: Value = serde_json::from_str(info["claims"].as_str().expect("a string")).expect("JSON in the string");
    assert_eq!(inner, payload);
    assert_eq!(info["issuer"], "https://issuer.example");
    assert_eq!(info["id"], "user-\"1\"");
    assert_eq!(info["email"], "a@b.example");
    assert_eq!(info["audiences"], json!(["a", "z"]));
    assert!(text.starts_with("{\"claims\":"));
}

#[test]
fn esp_v1_leaves_out_what_the_token_does_not_say() {
    let (value, _) = userinfo("espv1", &json!({"iss": "https://issuer.example", "email": 7}));
    let info: Value = serde_json::from_slice(&URL_SAFE.decode(value).expect("base64url")).expect("JSON");
    let names: Vec<_> = info.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["claims", "issuer"]);
}
