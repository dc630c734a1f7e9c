use std::sync::Arc;

use rcgen::{CertificateParams, DnType};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig, version};
use serde_json::json;
use tidegate_datapath::tls::{Alpn, ClientSettings, Transport};

use crate::pipe::{PipeEnd, pipe};
use crate::{Authority, ClientOptions, listener, server_config};

pub(crate) type Pair = (Transport<PipeEnd>, Transport<PipeEnd>);

/// Client and server after their handshake, or why it failed (the server's reason first).
pub(crate) fn connect(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>, name: &str) -> Result<Pair, String> {
    let (client_end, server_end) = pipe(&[], 1 << 20);
    let settings =
        ClientSettings { config: client.clone(), server_name: ServerName::try_from(name.to_string()).unwrap() };
    let mut client = Transport::connect_tls(client_end, &settings).unwrap();
    let mut server = Transport::accept_tls(server_end, server.clone()).unwrap();
    let mut buf = [0; 1024];
    for _ in 0..20 {
        client.flush().map_err(|error| error.to_string())?;
        for side in [&mut server, &mut client] {
            match side.read(&mut buf) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.to_string()),
                Ok(count) => return Err(format!("{count} bytes of content in a handshake")),
            }
        }
    }
    match client.is_handshaking() || server.is_handshaking() {
        true => Err("unfinished".to_string()),
        false => Ok((client, server)),
    }
}

fn problems(document: &tidegate_datapath::snapshot::document::ServerTls) -> Vec<String> {
    tidegate_datapath::tls::server_config(document, "listeners[0].tls").expect_err("accepted")
}

#[test]
fn the_server_name_chooses_the_certificate_and_the_first_serves_all_others() {
    let authority = Authority::new("ca");
    let first = authority.issue_for(&["first.example", "10.0.0.1"]);
    let wild = authority.issue_for(&["*.wild.example"]);
    let exact = authority.issue_for(&["a.wild.example", "*.deep.wild.example"]);
    let config = server_config(&listener(&[&first, &wild, &exact], json!({})));
    let client = ClientOptions::new(&authority);
    for name in
        ["first.example", "b.wild.example", "a.wild.example", "A.WILD.example", "x.deep.wild.example", "10.0.0.1"]
    {
        assert!(connect(&client.config(), &config, name).is_ok(), "{name}");
    }

    // Each of these gets the first certificate, which is not theirs, as their own verification says.
    for name in ["nobody.example", "wild.example", "a.b.wild.example", "10.0.0.2"] {
        let failure = connect(&client.config(), &config, name).err().unwrap();
        assert!(failure.contains("invalid peer certificate: certificate not valid for name"), "{failure}");
        assert!(failure.contains("first.example"), "{failure}");
    }

    let nameless = ClientOptions { server_name: false, ..client };
    assert!(connect(&nameless.config(), &config, "first.example").is_ok());
    assert!(connect(&nameless.config(), &config, "a.wild.example").is_err());
}

#[test]
fn a_common_name_serves_where_there_are_no_alternative_names() {
    let authority = Authority::new("ca");
    let first = authority.issue_for(&["first.example"]);
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Second.example");
    let second = authority.issue(params);
    let config = server_config(&listener(&[&first, &second], json!({})));
    let failure = connect(&ClientOptions::new(&authority).config(), &config, "second.example").err().unwrap();
    assert!(!failure.contains("first.example"), "{failure}");
}

#[test]
fn protocols_are_agreed_on_or_left_to_the_preface() {
    let authority = Authority::new("ca");
    let config = server_config(&listener(&[&authority.issue_for(&["a.example"])], json!({})));
    let agreed = |alpn: &[&str]| {
        let options = ClientOptions { alpn, ..ClientOptions::new(&authority) };
        connect(&options.config(), &config, "a.example").map(|(client, server)| {
            assert_eq!(client.alpn(), server.alpn());
            server.alpn()
        })
    };
    assert_eq!(agreed(&["http/1.1", "h2"]), Ok(Some(Alpn::Http2)));
    assert_eq!(agreed(&["http/1.1"]), Ok(Some(Alpn::Http1)));
    assert_eq!(agreed(&[]), Ok(None));
    assert!(agreed(&["spdy/3"]).unwrap_err().contains("support any known protocol"), "{:?}", agreed(&["spdy/3"]));
}

#[test]
fn client_certificates_are_none_optional_or_required() {
    let authority = Authority::new("ca");
    let others = Authority::new("others");
    let own = authority.issue_for(&["a.example"]);
    let (good, bad) = (authority.issue_for(&["client"]), others.issue_for(&["client"]));
    let accepts = |mode: &str, certificate: Option<&(String, String)>| {
        let ca = (mode != "none").then_some(&authority.pem);
        let config = server_config(&listener(&[&own], json!({"client_certificate": mode, "client_ca_pem": ca})));
        let options = ClientOptions { certificate, ..ClientOptions::new(&authority) };
        connect(&options.config(), &config, "a.example").map(|(_, server)| server.peer_certificate().is_some())
    };
    assert_eq!(accepts("none", Some(&good)), Ok(false));
    assert_eq!(accepts("optional", None), Ok(false));
    assert_eq!(accepts("optional", Some(&good)), Ok(true));
    assert!(accepts("optional", Some(&bad)).is_err());
    assert_eq!(accepts("required", Some(&good)), Ok(true));
    assert!(accepts("required", None).unwrap_err().contains("no certificate"));
    assert!(accepts("required", Some(&bad)).is_err());
}

#[test]
fn versions_and_cipher_suites_are_limited() {
    let authority = Authority::new("ca");
    let own = authority.issue_for(&["a.example"]);
    let connects = |versions: &[&'static rustls::SupportedProtocolVersion], more| {
        let config = server_config(&listener(&[&own], more));
        let options = ClientOptions { versions, ..ClientOptions::new(&authority) };
        connect(&options.config(), &config, "a.example").is_ok()
    };
    let (only12, only13) = ([&version::TLS12], [&version::TLS13]);
    assert!(connects(&only12, json!({})) && connects(&only13, json!({})));
    assert!(!connects(&only12, json!({"minimum_version": "1.3"})));
    assert!(!connects(&only13, json!({"maximum_version": "1.2"})));
    // The certificate is an ECDSA one.
    assert!(connects(&only12, json!({"cipher_suites": ["ECDHE-ECDSA-AES128-GCM-SHA256"]})));
    assert!(connects(&only13, json!({"cipher_suites": ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]})));
    assert!(!connects(&only12, json!({"cipher_suites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]})));
    let one =
        json!({"minimum_version": "1.3", "cipher_suites": ["TLS13_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256"]});
    assert!(connects(&only13, one));
}

#[test]
fn sessions_are_resumed() {
    let authority = Authority::new("ca");
    let ca = &authority.pem;
    let more = json!({"client_certificate": "required", "client_ca_pem": ca});
    let document = listener(&[&authority.issue_for(&["a.example"])], more);
    let client_pair = authority.issue_for(&["client"]);
    for versions in [[&version::TLS12], [&version::TLS13]] {
        let options =
            ClientOptions { certificate: Some(&client_pair), versions: &versions, ..ClientOptions::new(&authority) };
        let (client, server) = (options.config(), server_config(&document));
        let kind = |server: &Arc<ServerConfig>| {
            let (client, server) = connect(&client, server, "a.example").unwrap();
            assert!(server.peer_certificate().is_some());
            client.is_resumed()
        };
        assert!(!kind(&server));
        assert!(kind(&server), "{versions:?}");
        assert!(!kind(&server_config(&document)), "a ticket outlived its configuration");
    }
}

#[test]
fn a_session_is_resumed_after_any_number_of_others() {
    let authority = Authority::new("ca");
    let server = server_config(&listener(&[&authority.issue_for(&["a.example"])], json!({})));
    let resumed = |client: &Arc<ClientConfig>| connect(client, &server, "a.example").unwrap().0.is_resumed();
    let early = ClientOptions::new(&authority).config();
    assert!(!resumed(&early));
    // More than a table of sessions in the server would hold by default.
    for _ in 0..300 {
        assert!(!resumed(&ClientOptions::new(&authority).config()));
    }
    assert!(resumed(&early));
}

#[test]
fn all_faults_are_told_at_once() {
    let authority = Authority::new("ca");
    let (one, other) = (authority.issue_for(&["a"]), authority.issue_for(&["b"]));
    let crossed = (one.0.clone(), other.1.clone());
    let empty = (String::new(), one.1.clone());
    let more = json!({
        "client_certificate": "required",
        "minimum_version": "1.3",
        "maximum_version": "1.2",
        "cipher_suites": ["TLS_AES_128_GCM_SHA256", "RC4"],
    });
    let told = problems(&listener(&[&crossed, &empty], more));
    let starts = [
        "listeners[0].tls.certificates[0].key_pem: the key is not the certificate's",
        "listeners[0].tls.certificates[1].chain_pem: holds no CERTIFICATE section",
        "listeners[0].tls.client_ca_pem: is missing",
        "listeners[0].tls.minimum_version: is above maximum_version",
        "listeners[0].tls.cipher_suites[1]: no suite is called \"RC4\"; there are TLS_AES_256_GCM_SHA384, ",
    ];
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    for (problem, start) in told.iter().zip(starts) {
        assert!(problem.starts_with(start), "{problem}");
    }
}

#[test]
fn what_would_check_nobody_is_refused() {
    let authority = Authority::new("ca");
    let own = authority.issue_for(&["a"]);
    let told = |more| problems(&listener(&[&own], more)).join("\n");
    assert!(told(json!({"client_ca_pem": authority.pem})).contains("client_certificate: is none beside"));
    assert!(told(json!({"client_certificate": "optional", "client_ca_pem": "x"})).contains("client_ca_pem: holds no"));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(told(json!({"client_certificate": "optional", "client_ca_pem": broken})).contains("trust anchor"));
    assert!(told(json!({"cipher_suites": ["TLS_AES_128_GCM_SHA256"]})).contains("cipher_suites: none of the suites"));
    assert!(problems(&listener(&[], json!({})))[0].contains("certificates: is empty"));
}
