use crate::mint::{self, NOW, claims, claims_with, jwks};
use crate::world::{Request, World};
use serde_json::json;
use tidegate_datapath::authenticate::decide::Decision;
use tidegate_datapath::authenticate::status::AuthStatus;

fn world() -> World {
    World::new().keys("main", &jwks(&[mint::p256()]))
}

fn token() -> String {
    mint::p256().token("ES256", &claims())
}

fn token_of(subject: &str) -> String {
    mint::p256().token("ES256", &claims_with("sub", json!(subject)))
}

fn with_locations(locations: serde_json::Value) -> World {
    let provider = json!({"id": "main", "issuer": "https://issuer.example", "locations": locations});
    let rules = json!({"requirements": [{"provider": "main"}]});
    World::with(json!({"providers": [provider]}), rules).keys("main", &jwks(&[mint::p256()]))
}

#[test]
fn default_locations_are_those_of_esp() {
    let token = token();
    let requests = [
        Request::bearer(&token),
        Request::default().header("x-goog-iap-jwt-assertion", &token),
        Request::default().query(format!("a=1&access_token={token}&b")),
    ];
    for request in requests {
        assert_eq!(world().subject(&request), "user-1");
    }
}

#[test]
fn the_scheme_matches_whatever_its_case_and_blanks() {
    let token = token();
    for value in [format!("bearer {token}"), format!("BEARER   {token}"), format!(" Bearer\t{token} ")] {
        assert_eq!(world().subject(&Request::default().header("authorization", &value)), "user-1", "{value}");
    }
}

#[test]
fn other_schemes_hold_no_token() {
    for value in ["", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearertoken", "Bearer=x", "x Bearer y"] {
        let request = Request::default().header("authorization", value);
        assert_eq!(world().refusal(&request), AuthStatus::Missing, "{value:?}");
    }
    assert_eq!(world().refusal(&Request::default().header("authorization", token())), AuthStatus::Missing);
}

#[test]
fn the_value_is_one_token_and_nothing_else() {
    let token = token();
    for value in
        [format!("Bearer {token}, Bearer {token}"), format!("Bearer {token} x"), format!("Bearer Bearer {token}")]
    {
        let status = world().refusal(&Request::default().header("authorization", &value));
        assert!(
            matches!(status, AuthStatus::Malformed | AuthStatus::HeaderBadBase64 | AuthStatus::SignatureBadBase64),
            "{value}: {status:?}"
        );
    }
}

#[test]
fn one_header_holds_one_value() {
    let (good, other) = (token(), token_of("user-2"));
    let twice = Request::bearer(&good).header("authorization", format!("Bearer {good}"));
    assert_eq!(world().subject(&twice), "user-1");
    for second in
        [format!("Bearer {other}"), "Bearer x".to_owned(), "Basic dXNlcg==".to_owned(), other.clone(), String::new()]
    {
        let request = Request::bearer(&good).header("authorization", &second);
        assert_eq!(world().refusal(&request), AuthStatus::MultipleTokens, "{second}");
        let request =
            Request::default().header("authorization", &second).header("authorization", format!("Bearer {good}"));
        assert_eq!(world().refusal(&request), AuthStatus::MultipleTokens, "{second} first");
    }
}

#[test]
fn every_token_of_a_request_has_to_be_good() {
    let (good, other) = (token(), token_of("user-2"));
    let expired = mint::p256().token("ES256", &claims_with("exp", json!(1)));
    let foreign = mint::p256().token("ES256", &claims_with("iss", json!("x")));
    let both = |query: &str| Request::bearer(&good).query(format!("access_token={query}"));
    assert_eq!(world().subject(&both(&good)), "user-1");
    assert_eq!(world().subject(&both(&other)), "user-1", "the first location speaks for the caller");
    assert_eq!(world().refusal(&both(&expired)), AuthStatus::Expired);
    assert_eq!(world().refusal(&both(&foreign)), AuthStatus::UnknownIssuer);
    assert_eq!(world().refusal(&both("x")), AuthStatus::Malformed);
    let request = Request::bearer(&expired).header("x-goog-iap-jwt-assertion", &good);
    assert_eq!(world().refusal(&request), AuthStatus::Expired);
}

#[test]
fn the_most_telling_refusal_is_reported() {
    let expired = mint::p256().token("ES256", &claims_with("exp", json!(1)));
    let foreign = mint::p256().token("ES256", &claims_with("iss", json!("x")));
    let request = Request::bearer(&foreign).query(format!("access_token={expired}"));
    assert_eq!(world().refusal(&request), AuthStatus::Expired);
    let request = Request::bearer(&expired).query(format!("access_token={foreign}"));
    assert_eq!(world().refusal(&request), AuthStatus::Expired);
    let request = Request::bearer("a.b").query(format!("access_token={expired}"));
    assert_eq!(world().refusal(&request), AuthStatus::Malformed);
}

#[test]
fn query_parameters_are_percent_decoded() {
    let token = token();
    let escaped: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
    for query in
        [format!("access_token={escaped}"), format!("acc%65ss%5Ftoken={token}"), format!("&&x&access_token={token}&")]
    {
        assert_eq!(world().subject(&Request::default().query(&query)), "user-1", "{query}");
    }
    for query in
        ["", "access_token", "access_token=", "Access_Token=x.y.z", "xaccess_token=x.y.z", "access_token_=x.y.z", "%"]
    {
        assert_eq!(world().refusal(&Request::default().query(query)), AuthStatus::Missing, "{query}");
    }
    for query in ["access_token=%", "access_token=%4", "access_token=%zz", "access_token=a+b"] {
        assert_eq!(world().refusal(&Request::default().query(query)), AuthStatus::Malformed, "{query}");
    }
}

#[test]
fn one_query_parameter_holds_one_value() {
    let token = token();
    let twice = format!("access_token={token}&access_token={token}");
    assert_eq!(world().subject(&Request::default().query(twice)), "user-1");
    for query in [
        format!("access_token={token}&access_token=x"),
        format!("access_token=x&access_token={token}"),
        format!("access_token={token}&access%5ftoken=x"),
        format!("access_token={token}&access_token="),
    ] {
        assert_eq!(world().refusal(&Request::default().query(&query)), AuthStatus::MultipleTokens, "{query}");
    }
}

#[test]
fn cookies_are_found_by_name() {
    let mut world = with_locations(json!([{"cookie": {"name": "session"}}]));
    let token = token();
    let cookies = [
        format!("session={token}"),
        format!("a=b; session={token}; c=d"),
        format!("session2=x;session=\"{token}\""),
        format!("session={token}; session={token}"),
    ];
    for cookie in cookies {
        assert_eq!(world.subject(&Request::default().header("cookie", &cookie)), "user-1", "{cookie}");
    }
    let split = Request::default().header("cookie", "a=b").header("cookie", format!("session={token}"));
    assert_eq!(world.subject(&split), "user-1");
    for cookie in ["", "session", "session=", "Session=x.y.z", "xsession=x.y.z"] {
        assert_eq!(world.refusal(&Request::default().header("cookie", cookie)), AuthStatus::Missing, "{cookie}");
    }
    let differ = Request::default().header("cookie", format!("session={token}; session=x"));
    assert_eq!(world.refusal(&differ), AuthStatus::MultipleTokens);
    let differ = Request::default().header("cookie", format!("session={token}")).header("cookie", "session=x");
    assert_eq!(world.refusal(&differ), AuthStatus::MultipleTokens);
}

#[test]
fn a_providers_own_locations_replace_the_defaults() {
    let mut world = with_locations(json!([{"header": {"name": "X-Token", "prefix": "jwt="}}]));
    let token = token();
    assert_eq!(world.subject(&Request::default().header("x-token", format!("jwt={token}"))), "user-1");
    for request in [
        Request::bearer(&token),
        Request::default().header("x-token", &token),
        Request::default().header("x-token", format!("JWT={token}")),
    ] {
        assert_eq!(world.refusal(&request), AuthStatus::Missing);
    }
}

#[test]
fn a_provider_vouches_only_for_tokens_in_its_own_locations() {
    let providers = json!({"providers": [
        {"id": "main", "issuer": "https://issuer.example", "locations": [{"header": {"name": "x-main"}}]},
        {"id": "side", "issuer": "https://side.example", "locations": [{"header": {"name": "x-side"}}]},
    ]});
    let rules = json!({"requirements": [{"provider": "main"}, {"provider": "side"}]});
    let mut world =
        World::with(providers, rules).keys("main", &jwks(&[mint::p256()])).keys("side", &jwks(&[mint::p256()]));
    let main = token();
    let side = mint::p256().token("ES256", &json!({"iss": "https://side.example", "sub": "side", "exp": NOW + 9}));
    assert_eq!(world.subject(&Request::default().header("x-main", &main)), "user-1");
    assert_eq!(
        world.refusal(&Request::default().header("x-side", &main)),
        AuthStatus::UnknownIssuer,
        "though it is cached"
    );
    assert_eq!(world.subject(&Request::default().header("x-side", &side)), "side");
    let both = Request::default().header("x-side", &side).header("x-main", &main);
    assert_eq!(world.subject(&both), "user-1", "the first requirement speaks for the caller");
    let one_bad = Request::default().header("x-main", &main).header("x-side", "a.b.c");
    assert_eq!(world.refusal(&one_bad), AuthStatus::HeaderBadBase64);
}

#[test]
fn a_request_may_hold_only_so_many_tokens() {
    let locations: Vec<_> = (0..5).map(|index| json!({"header": {"name": format!("x-{index}")}})).collect();
    let mut world = with_locations(json!(locations));
    let token = token();
    let request = |count: usize| {
        (0..count).fold(Request::default(), |request, index| request.header(&format!("x-{index}"), &token))
    };
    assert_eq!(world.subject(&request(4)), "user-1");
    assert_eq!(world.ask(&request(5)), Decision::Deny(AuthStatus::MultipleTokens));
}
