use serde_json::{Value, json};
use std::collections::HashSet;
use tidegate_datapath::route::authority::host;
use tidegate_datapath::route::routes::{Headers, Request, Route, compile, select};
use tidegate_datapath::snapshot::document;

pub(crate) struct Fields(pub(crate) Vec<(&'static str, &'static str)>);

impl Headers for Fields {
    fn any(&self, name: &str, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.0.iter().any(|(field, value)| *field == name && test(value.as_bytes()))
    }
}

fn routes(list: Value) -> Result<Vec<Route>, Vec<String>> {
    let list: Vec<document::Route> = serde_json::from_value(list).expect("routes");
    let mut errors = Vec::new();
    let known = ["one", "two", "three"];
    let backend = |name: &str| known.iter().position(|other| *other == name).map(|index| index as u32);
    let routes = compile(&list, &backend, &mut errors);
    if errors.is_empty() { Ok(routes) } else { Err(errors) }
}

fn route(name: &str, matcher: Value) -> Value {
    json!({"name": name, "match": matcher, "backends": [{"name": "one"}]})
}

fn taken(routes: &[Route], authority: &str, path: &str, method: Option<&str>, headers: &Fields) -> Option<String> {
    let request = Request { authority: authority.as_bytes(), path: path.as_bytes(), method, headers };
    select(routes, &request).map(|index| routes[index].name.to_string())
}

#[test]
fn the_closest_authority_wins_then_the_first() {
    let routes = routes(json!([
        route("any", json!({"authorities": ["*"]})),
        route("com", json!({"authorities": ["*.com"]})),
        route("suffix", json!({"authorities": ["*.example.com"]})),
        route("exact", json!({"authorities": ["other.com", "API.example.com"]})),
        route("second", json!({"authorities": ["api.example.com"]})),
        route("none", json!({})),
    ]))
    .expect("valid");
    for (authority, expected) in [
        ("api.example.com", "exact"),
        ("API.Example.COM:8443", "exact"),
        ("api.example.com.", "exact"),
        ("user@api.example.com:1", "exact"),
        ("www.example.com", "suffix"),
        ("a.b.example.com", "suffix"),
        ("example.com", "com"),
        (".example.com", "com"),
        ("localhost:80", "any"),
        ("[::1]:80", "any"),
        ("", "any"),
    ] {
        assert_eq!(taken(&routes, authority, "/", None, &Fields(vec![])).as_deref(), Some(expected), "{authority}");
    }
}

#[test]
fn hosts_are_compared_without_port_and_case() {
    for (authority, expected) in
        [("A.b:80", "a.b"), ("a.b.", "a.b"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("x@y:1", "y"), ("", "")]
    {
        assert_eq!(&*host(authority.as_bytes()), expected.as_bytes(), "{authority}");
    }
}

#[test]
fn paths_and_methods_select() {
    let routes = routes(json!([
        route("exact", json!({"path": "/exact"})),
        route("get", json!({"service": "pkg.Echo", "method": "Get"})),
        route("echo", json!({"service": "pkg.Echo"})),
        route("full", json!({"method": "pkg.Other.Get"})),
        route("folder", json!({"path_prefix": "/files/"})),
        route("prefix", json!({"path_prefix": "/v"})),
    ]))
    .expect("valid");
    for (path, method, expected) in [
        ("/exact", None, Some("exact")),
        ("/exact/", None, Some("exact")),
        ("/exact/a", None, None),
        ("/pkg.Echo/Get", None, Some("get")),
        ("/pkg.Echo/Get/", None, Some("get")),
        ("/pkg.Echo/Put", None, Some("echo")),
        ("/pkg.Echoes/Get", None, None),
        ("/pkg.Echo", None, None),
        ("/pkg.Other/Get", None, Some("full")),
        ("/pkg.Other/Put", None, None),
        ("/v1/echo", Some("pkg.Echo.Get"), Some("get")),
        ("/v1/echo", Some("pkg.Else.Get"), Some("prefix")),
        ("/files", None, Some("folder")),
        ("/files/a", None, Some("folder")),
        ("/filesystem", None, None),
    ] {
        assert_eq!(taken(&routes, "h", path, method, &Fields(vec![])).as_deref(), expected, "{path}");
    }
}

#[test]
fn headers_select() {
    let routes = routes(json!([
        route("exact", json!({"headers": [{"name": "X-Canary", "exact": "yes"}]})),
        route("prefix", json!({"headers": [{"name": "x-canary", "prefix": "v"}]})),
        route("present", json!({"headers": [{"name": "x-canary"}]})),
        route("absent", json!({"headers": [{"name": "x-other", "invert": true}]})),
    ]))
    .expect("valid");
    for (fields, expected) in [
        (vec![("x-canary", "yes")], Some("exact")),
        (vec![("x-canary", "no"), ("x-canary", "yes")], Some("exact")),
        (vec![("x-canary", "v2")], Some("prefix")),
        (vec![("x-canary", "no")], Some("present")),
        (vec![], Some("absent")),
        (vec![("x-other", "a")], None),
    ] {
        assert_eq!(taken(&routes, "h", "/", None, &Fields(fields.clone())).as_deref(), expected, "{fields:?}");
    }
}

#[test]
fn weights_divide_the_random_numbers() {
    let weighted = json!([{"name": "r", "backends": [
        {"name": "one", "weight": 1}, {"name": "two", "weight": 0}, {"name": "three", "weight": 3}]}]);
    let routes = routes(weighted).expect("valid");
    let quarter = 1u32 << 30;
    assert_eq!(routes[0].backend(0), Some(0));
    assert_eq!(routes[0].backend(quarter - 1), Some(0));
    assert_eq!(routes[0].backend(quarter), Some(2));
    assert_eq!(routes[0].backend(u32::MAX), Some(2));
    let chosen: HashSet<_> = (0..1000u32).map(|step| routes[0].backend(step * (u32::MAX / 1000))).collect();
    assert_eq!(chosen, HashSet::from([Some(0), Some(2)]));
}

#[test]
fn all_errors_are_reported_with_their_place() {
    let errors = routes(json!([
        {"name": "a", "backends": []},
        {"name": "b", "backends": [{"name": "nowhere"}, {"name": "one", "weight": 0}]},
        {"name": "c", "backends": [{"name": "one", "weight": 0}]},
        {"name": "d", "backends": [{"name": "one"}], "match": {
            "authorities": ["a.com:80", "*", "a*b", ""], "path": "/a/../b", "path_prefix": "x",
            "service": "a/b", "headers": [{"name": "bad name"}]}},
        {"name": "e", "backends": [{"name": "one"}], "match": {"service": "a.B", "method": "a.C.Get"}},
    ]))
    .expect_err("many faults");
    let places: Vec<&str> = errors.iter().filter_map(|error| error.split(": ").next()).collect();
    let expected = [
        "routes[0].backends",
        "routes[1].backends[0].name",
        "routes[2].backends",
        "routes[3].match.authorities[0]",
        "routes[3].match.authorities[2]",
        "routes[3].match.authorities[3]",
        "routes[3].match.path",
        "routes[3].match.path_prefix",
        "routes[3].match.service",
        "routes[3].match.headers[0].name",
        "routes[4].match.method",
    ];
    assert_eq!(places, expected, "{errors:#?}");
}
