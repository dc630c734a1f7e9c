use serde_json::json;
use tidegate_datapath::snapshot::document::ClientTls;
use tidegate_datapath::tls::{Alpn, client_settings};

use crate::server::connect;
use crate::{Authority, listener, pair, server_config};

fn backend(ca: Option<&str>, server_name: &str) -> ClientTls {
    ClientTls { ca_pem: ca.map(str::to_string), client: None, server_name: Some(server_name.to_string()), verify: true }
}

#[test]
fn a_backend_is_verified_and_shown_the_own_certificate() {
    let authority = Authority::new("ca");
    let others = Authority::new("others");
    let own = authority.issue_for(&["app.example", "10.0.0.1"]);
    let more = json!({"client_certificate": "required", "client_ca_pem": authority.pem});
    let server = server_config(&listener(&[&own], more));
    for name in ["app.example", "10.0.0.1"] {
        let mut document = backend(Some(&authority.pem), name);
        document.client = Some(pair(&authority.issue_for(&["gateway"])));
        let settings = client_settings(&document, "tls").unwrap();
        let (client, server) = connect(&settings.config, &server, name).unwrap();
        assert_eq!(client.alpn(), Some(Alpn::Http2));
        assert!(server.peer_certificate().is_some() && client.peer_certificate().is_some());
    }

    let refused = |ca: &str, name: &str| {
        let settings = client_settings(&backend(Some(ca), name), "tls").unwrap();
        connect(&settings.config, &server, name).err().unwrap()
    };
    assert!(refused(&others.pem, "app.example").contains("UnknownIssuer"));
    assert!(refused(&authority.pem, "other.example").contains("not valid for name"));
    assert!(refused(&authority.pem, "app.example").contains("peer sent no certificates"));
}

#[test]
fn the_cheapest_suite_is_offered_first() {
    let settings = client_settings(&backend(Some(&Authority::new("ca").pem), "a"), "tls").unwrap();
    let offered = &settings.config.crypto_provider().cipher_suites;
    assert_eq!(offered[0].suite(), rustls::CipherSuite::TLS13_AES_128_GCM_SHA256);
    assert_eq!(offered.len(), 9);
}

#[test]
fn a_bundle_may_hold_unusable_certificates() {
    let authority = Authority::new("ca");
    let bundle = format!("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n{}", authority.pem);
    assert!(client_settings(&backend(Some(&bundle), "a"), "tls").is_ok());
}

#[test]
fn who_asks_for_it_trusts_anybody_and_names_nobody() {
    let server_side = Authority::new("ca");
    let first = server_side.issue_for(&["first.example"]);
    let second = server_side.issue_for(&["0.0.0.0"]);
    let server = server_config(&listener(&[&first, &second], json!({})));
    let mut document = ClientTls { ca_pem: None, client: None, server_name: None, verify: false };
    let settings = client_settings(&document, "tls").unwrap();
    assert!(!settings.server_name.to_str().contains("example"));
    assert!(connect(&settings.config, &server, &settings.server_name.to_str()).is_ok());

    document.verify = true;
    let told = client_settings(&document, "tls").expect_err("accepted");
    assert!(told[0].starts_with("tls.server_name: is missing"), "{}", told[0]);
    assert!(told[1].starts_with("tls.ca_pem: is missing"), "{}", told[1]);
}

#[test]
fn all_faults_are_told_at_once() {
    let authority = Authority::new("ca");
    let (one, other) = (authority.issue_for(&["a"]), authority.issue_for(&["b"]));
    let mut document = backend(None, "not a name");
    document.client = Some(pair(&(one.0, other.1)));
    let told = client_settings(&document, "backends[1].tls").expect_err("accepted");
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told[0].starts_with("backends[1].tls.server_name: \"not a name\" is neither"), "{}", told[0]);
    assert!(told[1].starts_with("backends[1].tls.ca_pem: is missing; give"), "{}", told[1]);
    assert!(told[2].starts_with("backends[1].tls.client.key_pem: the key is not"), "{}", told[2]);
}
