use rcgen::{CustomExtension, DnType, DnValue, SanType};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tidegate_datapath::tls::forwarded_client_cert;

use crate::{Authority, client_params};

/// The value without its hash, which has to come first and to be hexadecimal.
fn value(subject: &[(DnType, &str)], names: Vec<SanType>) -> String {
    let (pem, _) = Authority::new("ca").issue(client_params(subject, names));
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let value = forwarded_client_cert(&certificate).unwrap();
    let (hash, rest) = value.split_once(';').unwrap();
    let hash = hash.strip_prefix("Hash=").unwrap();
    assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)));
    rest.to_string()
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

#[test]
fn names_the_client_as_envoy_does() {
    let subject =
        [(DnType::CountryName, "US"), (DnType::OrganizationName, "Acme, Inc."), (DnType::CommonName, "client")];
    let names = vec![uri("spiffe://acme/ns/a/sa/b"), dns("a.example"), dns("b.example")];
    assert_eq!(
        value(&subject, names),
        r#"Subject="CN=client,O=Acme\, Inc.,C=US";URI=spiffe://acme/ns/a/sa/b;DNS=a.example;DNS=b.example"#
    );
    assert_eq!(value(&[], vec![]), r#"Subject="";URI="#);
    assert_eq!(value(&[], vec![uri("a:b"), uri("c:d")]), r#"Subject="";URI=a:b;URI=c:d"#);
}

#[test]
fn nothing_in_a_certificate_adds_an_element() {
    let subject = [(DnType::CommonName, "#a\";By=\"b\\\n+<>=\u{e9} ")];
    assert_eq!(value(&subject, vec![]), r##"Subject="CN=\#a\"\;By=\"b\\\0A\+\<\>=\C3\A9\ ";URI="##);
    let names = vec![uri("x:a;By=b"), uri("x:\"a\\"), uri("x:a,Hash=0"), uri("x:\r\ny: z"), dns("a b")];
    assert_eq!(value(&[], names), r#"Subject="";URI="x:a;By=b";URI="x:\"a\\";URI="x:a,Hash=0";DNS="a b""#);
}

#[test]
fn unknown_attributes_are_hexadecimal() {
    let unknown = DnType::CustomDnType(vec![1, 2, 3, 4]);
    assert_eq!(value(&[(unknown, "Hello")], vec![]), r##"Subject="1.2.3.4=#0C0548656C6C6F";URI="##);
    let mut params = client_params(&[], vec![]);
    params.distinguished_name.push(DnType::CommonName, DnValue::BmpString("A\u{e9}".try_into().unwrap()));
    params.custom_extensions = vec![CustomExtension::from_oid_content(&[1, 2, 3, 5], vec![5, 0])];
    let (pem, _) = Authority::new("ca").issue(params);
    let value = forwarded_client_cert(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    assert!(value.contains(r#"Subject="CN=A\C3\A9""#), "{value}");
}

#[test]
fn the_value_is_bounded() {
    let names = (0..500).map(|index| dns(&format!("host-{index}.example"))).collect();
    let long = value(&[(DnType::CommonName, "client")], names);
    assert!(long.len() < 4096 && long.starts_with("Subject=\"CN=client\";URI=;DNS=host-0.example;"));
    assert!(value(&[(DnType::CommonName, &"x".repeat(5000))], vec![]).starts_with("URI="));
    assert_eq!(forwarded_client_cert(&CertificateDer::from(vec![1, 2, 3])), None);
}
