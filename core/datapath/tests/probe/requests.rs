use crate::server::target;
use serde_json::{Value, json};
use tidegate_datapath::probe::compile;

fn faults(more: Value) -> String {
    let request = json!({"targets": [target("grpc", "127.0.0.1:1", more)]});
    compile(request.to_string().as_bytes()).expect_err("accepted").join("; ")
}

#[test]
fn a_bad_target_says_what_is_wrong_with_it() {
    for (field, value, text) in [
        ("address", json!("127.0.0.1"), "targets[0].address: `127.0.0.1` is no address"),
        ("address", json!("host:0"), "no address"),
        ("address", json!("127.0.0.1:0"), "port 0"),
        ("address", json!("host:99999"), "no address"),
        ("address", json!("unix://relative"), "absolute"),
        ("address", json!("a b:1"), "no address"),
        ("authority", json!("a b"), "no host"),
        ("path", json!("healthz"), "no path"),
        ("path", json!("/a\r\nx: y"), "no path"),
        ("headers", json!([["a b", "c"]]), "no header field"),
        ("headers", json!([["a", "b\r\nc: d"]]), "no header field"),
        ("headers", json!([[":path", "/"]]), "no header field"),
        ("headers", json!([["Host", "a"]]), "host is set by the probe"),
        ("user_agent", json!("a\nb"), "no header field"),
        ("expected_statuses", json!([]), "ranges"),
        ("expected_statuses", json!([[300, 200]]), "ranges"),
        ("connect_timeout_ms", json!(0), "connect_timeout_ms"),
        ("answer_timeout_ms", json!(u64::MAX), "answer_timeout_ms"),
        ("service", json!("s".repeat(9_000)), "service: longer"),
        ("kind", json!("ping"), "ping"),
        ("surplus", json!(1), "surplus"),
        ("tls", json!({"server_name": "a"}), "targets[0].tls.ca_pem: is missing"),
    ] {
        let told = faults(json!({field: value.clone()}));
        assert!(told.contains(text), "{field}: {value}: {told}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let told = faults(json!({"address": "x", "path": "y", "tls": {"server_name": "no name"}}));
    assert_eq!(told.split("; ").filter(|fault| fault.starts_with("targets[0].")).count(), 4, "{told}");
    assert!(compile(b"{\"targets\": []}").is_err() && compile(b"[").is_err());
}
