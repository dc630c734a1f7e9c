use super::routes::Fields;
use serde_json::{Value, json};
use tidegate_datapath::route::table::{Choice, Table, Target};
use tidegate_datapath::snapshot::document::Document;
use tidegate_datapath::transcode::descriptors::Descriptors;

const LIBRARY: &[u8] = include_bytes!("../protos/library.pb");

fn compile(mut document: Value) -> Result<Table, Vec<String>> {
    let fields = document.as_object_mut().expect("an object");
    fields.insert("version".into(), "1".into());
    fields.insert("listeners".into(), json!([]));
    fields.entry("backends").or_insert_with(|| json!([{"name": "app"}, {"name": "other"}]));
    let document: Document = serde_json::from_value(document).expect("a document");
    Table::compile(&document, &Descriptors::build(&[LIBRARY.to_vec()]).expect("descriptors"))
}

fn everything() -> Value {
    json!({
        "routes": [{"name": "all", "backends": [{"name": "app"}]}],
        "methods": [
            {"name": "library.v1.Library.GetBook", "backend": "other", "bindings": [
                {"verb": "GET", "template": "/v1/{name=shelves/*/books/*}"}]},
            {"name": "not.Described.Method"},
            {"name": "grpc.health.v1.Health.Check", "bindings": [{"verb": "GET", "template": "/v1/health"}]},
        ]
    })
}

/// What was found, in one word and a name.
fn target(table: &Table, is_grpc: bool, verb: &str, path: &str) -> String {
    let name = |method: u32| table.methods()[method as usize].name.to_string();
    match table.find(is_grpc, verb.as_bytes(), path.as_bytes()) {
        Target::Method(method) => format!("method {}", name(method)),
        Target::Binding { binding, .. } => format!("binding {}", name(binding.method)),
        Target::WrongMethod { template, .. } => format!("wrong {template}"),
        Target::Unknown => "unknown".into(),
    }
}

#[test]
fn requests_find_their_methods() {
    let table = compile(everything()).expect("valid");
    for (is_grpc, verb, path, expected) in [
        (true, "POST", "/library.v1.Library/GetBook", "method library.v1.Library.GetBook"),
        (true, "POST", "/library.v1.Library/GetBook/", "method library.v1.Library.GetBook"),
        (true, "POST", "/not.Described/Method", "method not.Described.Method"),
        (true, "POST", "/library.v1.Library/Watch", "method library.v1.Library.Watch"),
        (true, "POST", "/library.v1.Library/Nothing", "unknown"),
        (true, "POST", "/library.v1.library/GetBook", "unknown"),
        (false, "POST", "/library.v1.Library/GetBook", "binding library.v1.Library.GetBook"),
        (false, "POST", "/library.v1.Library/Echo", "binding library.v1.Library.Echo"),
        (false, "GET", "/library.v1.Library/Echo", "wrong /library.v1.Library/Echo"),
        (false, "POST", "/library.v1.Library/Watch", "method library.v1.Library.Watch"),
        (false, "POST", "/not.Described/Method", "method not.Described.Method"),
        (false, "GET", "/v1/shelves/1/books/2", "binding library.v1.Library.GetBook"),
        (false, "GET", "/v1/health", "binding grpc.health.v1.Health.Check"),
        (false, "GET", "/v1/health/", "binding grpc.health.v1.Health.Check"),
        (false, "PUT", "/v1/health", "wrong /v1/health"),
        (false, "GET", "/v1/else", "unknown"),
    ] {
        assert_eq!(target(&table, is_grpc, verb, path), expected, "{verb} {path}");
    }
}

#[test]
fn declared_methods_keep_their_place() {
    let table = compile(everything()).expect("valid");
    let names: Vec<(&str, bool)> =
        table.methods().iter().take(4).map(|method| (&*method.name, method.declared)).collect();
    assert_eq!(names[0], ("library.v1.Library.GetBook", true));
    assert_eq!(names[1], ("not.Described.Method", true));
    assert_eq!(names[2], ("grpc.health.v1.Health.Check", true));
    assert!(!names[3].1);
    assert_eq!(table.label(Some(1)), "not.Described.Method");
    assert_eq!((table.label(None), table.label(Some(999))), ("other", "other"));
}

#[test]
fn where_unknown_methods_are_rejected_descriptors_alone_serve_nothing() {
    let mut document = everything();
    document["unknown_methods"] = "reject".into();
    let table = compile(document).expect("valid");
    assert_eq!(table.methods().len(), 3);
    assert_eq!(target(&table, true, "POST", "/library.v1.Library/Echo"), "unknown");
    assert_eq!(target(&table, false, "POST", "/library.v1.Library/Echo"), "unknown");
    assert_eq!(target(&table, false, "POST", "/library.v1.Library/GetBook"), "binding library.v1.Library.GetBook");
}

#[test]
fn a_methods_backend_outranks_the_routes() {
    let table = compile(everything()).expect("valid");
    let none = Fields(vec![]);
    let chosen = |method| table.select_route(b"h", b"/", method, &none, 7);
    assert_eq!(chosen(None), Some(Choice { route: Some(0), backend: 0 }));
    assert_eq!(chosen(Some(0)), Some(Choice { route: Some(0), backend: 1 }));
    assert_eq!(chosen(Some(1)), Some(Choice { route: Some(0), backend: 0 }));
    let mut document = everything();
    document["routes"] = json!([]);
    let table = compile(document).expect("valid");
    assert_eq!(table.select_route(b"h", b"/", Some(0), &none, 7), Some(Choice { route: None, backend: 1 }));
    assert_eq!(table.select_route(b"h", b"/", Some(1), &none, 7), None);
}

#[test]
fn transcoded_requests_are_routed_by_their_service() {
    let table = compile(json!({
        "routes": [
            {"name": "library", "match": {"service": "library.v1.Library"}, "backends": [{"name": "other"}]},
            {"name": "rest", "backends": [{"name": "app"}]},
        ],
    }))
    .expect("valid");
    let none = Fields(vec![]);
    let method = table.method(b"/library.v1.Library/Echo");
    assert!(method.is_some());
    let chosen = table.select_route(b"h", b"/v1/echo", method, &none, 0);
    assert_eq!(chosen, Some(Choice { route: Some(0), backend: 1 }));
    let chosen = table.select_route(b"h", b"/v1/echo", None, &none, 0);
    assert_eq!(chosen, Some(Choice { route: Some(1), backend: 0 }));
}

#[test]
fn other_spellings_of_a_known_path_are_disguises() {
    let mut document = everything();
    document["routes"] = json!([
        {"name": "admin", "match": {"path_prefix": "/@admin"}, "backends": [{"name": "other"}]},
        {"name": "all", "backends": [{"name": "app"}]},
    ]);
    let table = compile(document).expect("valid");
    let none = Fields(vec![]);
    for (path, expected) in [
        ("/not.Described/Method;x", true),
        ("/not.Described%2FMethod", true),
        ("/x%5C/v1/health", false),
        ("/v1%2Fhealth", true),
        ("/v1;a=b/health", true),
        ("/%40admin/users", true),
        ("/files/a%2Fb;v=1", false),
        ("/files/a", false),
    ] {
        let route = table.select_route(b"h", path.as_bytes(), None, &none, 0).and_then(|choice| choice.route);
        assert_eq!(table.is_disguised(b"h", path.as_bytes(), &none, route), expected, "{path}");
    }
}

#[test]
fn all_errors_are_reported_with_their_place() {
    let errors = compile(json!({
        "backends": [{"name": "app"}, {"name": "app"}],
        "routes": [{"name": "r", "backends": [{"name": "gone"}]}],
        "methods": [
            {"name": "NoService"},
            {"name": "library.v1.Library.GetBook", "backend": "gone", "bindings": [
                {"verb": "GET", "template": "/v1/{name"},
                {"verb": "GET", "template": "/v1/{title}"},
                {"verb": "GET", "template": "/v1/{read_mask.paths}"},
                {"verb": "", "template": "/v1/a"},
                {"verb": "GET", "template": "/ok/{name}"},
                {"verb": "GET", "template": "/ok/{read_mask}"},
                {"verb": "POST", "template": "/v1/body", "body": "nothing"},
                {"verb": "POST", "template": "/v1/response", "response_body": "nothing"}]},
            {"name": "library.v1.Library.Watch", "bindings": [{"verb": "GET", "template": "/v1/watch"}]},
            {"name": "library.v1.Library.CreateBook", "bindings": [
                {"verb": "GET", "template": "/v1/{book}/a"},
                {"verb": "GET", "template": "/v1/{book.tags}/b"}]},
            {"name": "not.Described.Method", "bindings": [{"verb": "GET", "template": "/v1/c"}]},
            {"name": "library.v1.Library.GetBook"},
            {"name": "library.v1.Library.Merge", "bindings": [{"verb": "GET", "template": "/v1/merge"}]},
        ],
    }))
    .expect_err("many faults");
    let places: Vec<&str> = errors.iter().filter_map(|error| error.split(": ").next()).collect();
    let expected = [
        "backends[1].name",
        "routes[0].backends[0].name",
        "methods[0].name",
        "methods[1].backend",
        "methods[1].bindings[0].template",
        "methods[1].bindings[1].template",
        "methods[1].bindings[2].template",
        "methods[1].bindings[3].verb",
        "methods[1].bindings[5].template",
        "methods[1].bindings[6].body",
        "methods[1].bindings[7].response_body",
        "methods[2].bindings[0].template",
        "methods[3].bindings[0].template",
        "methods[3].bindings[1].template",
        "methods[4].bindings[0]",
        "methods[5].name",
        "methods[6].bindings[0].body",
    ];
    assert_eq!(places, expected, "{errors:#?}");
}
