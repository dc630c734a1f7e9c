//! Services whose methods nobody listed.

use tidegate_datapath::route::table::{Table, Target};
use tidegate_datapath::snapshot::document::Document;
use tidegate_datapath::transcode::descriptors::Descriptors;

fn table() -> Table {
    let document: Document = serde_json::from_value(serde_json::json!({
        "version": "1",
        "listeners": [],
        "backends": [{"name": "app"}],
        "routes": [{"name": "all", "backends": [{"name": "app"}]}],
        "methods": [{"name": "pkg.Known.Get"}, {"name": "pkg.Known.*"}],
        "unknown_methods": "reject",
    }))
    .unwrap();
    Table::compile(&document, &Descriptors::build(&[]).unwrap()).unwrap()
}

#[test]
fn a_service_is_known_as_a_whole_and_a_name_outranks_it() {
    let table = table();
    for (path, expected) in [
        ("/pkg.Known/Get", Some(0)),
        ("/pkg.Known/Other", Some(1)),
        ("/pkg.Known/Other/", Some(1)),
        ("/pkg.Known/", None),
        ("/pkg.Known", None),
        ("/pkg.Known/a/b", None),
        ("/pkg.KnownToo/Get", None),
        ("/", None),
    ] {
        let found = match table.find(true, b"POST", path.as_bytes()) {
            Target::Method(method) => Some(method),
            _ => None,
        };
        assert_eq!(found, expected, "{path}");
    }
}
