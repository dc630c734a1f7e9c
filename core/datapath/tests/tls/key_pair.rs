use rcgen::{CertificateParams, DnType, KeyPair};
use tidegate_datapath::tls::check_key_pair;

use crate::Authority;

#[test]
fn tells_names_end_and_fingerprint() {
    let mut params =
        CertificateParams::new(vec!["A.example".to_string(), "*.b.example".to_string(), "::1".to_string()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2040, 1, 2);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let facts = check_key_pair(&certificate.pem(), &key.serialize_pem()).unwrap();
    assert_eq!(facts.names, ["a.example", "*.b.example", "::1"]);
    assert_eq!(facts.not_after, 2_209_075_200);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, certificate.der());
    assert_eq!(facts.fingerprint.len(), 64);
    let bytes: Vec<u8> =
        (0..64).step_by(2).map(|at| u8::from_str_radix(&facts.fingerprint[at..at + 2], 16).unwrap()).collect();
    assert_eq!(bytes, digest.as_ref());

    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "Only.example");
    let certificate = params.self_signed(&key).unwrap();
    assert_eq!(check_key_pair(&certificate.pem(), &key.serialize_pem()).unwrap().names, ["only.example"]);
}

#[test]
fn says_what_is_wrong_and_never_what_the_key_is() {
    let authority = Authority::new("ca");
    let (chain, key) = authority.issue_for(&["a"]);
    let (_, other) = authority.issue_for(&["b"]);
    let refused = |chain: &str, key: &str| {
        let message = check_key_pair(chain, key).expect_err("accepted");
        for line in key.lines().filter(|line| line.len() > 20 && !line.starts_with('-')) {
            assert!(!message.contains(line), "{message}");
        }
        message
    };
    assert!(refused(&chain, &other).starts_with("key_pem: the key is not the certificate's"));
    assert!(refused("", &key).starts_with("chain_pem: holds no CERTIFICATE"));
    assert!(refused(&key, &key).starts_with("chain_pem: holds no CERTIFICATE"));
    assert!(refused(&chain, &chain).starts_with("key_pem: holds no private key"));
    assert!(
        refused(&chain, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
            .contains("passphrase")
    );
    assert!(
        refused(&chain, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
            .starts_with("key_pem: the key cannot")
    );
    assert!(refused(&chain, &key[..key.len() / 2]).starts_with("key_pem: "));
    assert!(
        refused("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key)
            .starts_with("chain_pem: the first")
    );
}
