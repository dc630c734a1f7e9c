use crate::server::{Server, probe, says, until_closed};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use tidegate_datapath::probe::{Observation, Outcome};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// (chain, key) as PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A server that answers HTTP/1.1 200 over TLS; `mutual`: only to clients with a certificate of this authority.
    fn serve(&self, mutual: bool, protocol: Option<&str>) -> Server {
        let (chain, key) = self.issue("app.example");
        let certificate = || CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match mutual {
            false => builder.with_no_client_auth(),
            true => {
                let mut roots = RootCertStore::empty();
                roots.add(certificate()).unwrap();
                let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = vec![CertificateDer::from_pem_slice(chain.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = protocol.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Server::one(move |socket: TcpStream| {
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket);
            // A client that refuses our certificate, or is refused, has said all that it will.
            if stream.read(&mut [0; 4096]).is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
                let _ = stream.flush();
                let _ = stream.read(&mut [0; 4096]);
            }
        })
    }
}

fn is(observation: &Observation, outcome: Outcome, text: &str) {
    assert_eq!(observation.finding.outcome, outcome, "{observation:?}");
    assert!(observation.finding.text.contains(text), "{observation:?}");
}

#[test]
fn the_server_is_verified_unless_told_otherwise() {
    let (authority, other) = (Authority::new("ca"), Authority::new("other"));
    let ask = |tls: serde_json::Value| probe("http", authority.serve(false, None).address, json!({"tls": tls}));
    is(&ask(json!({"ca_pem": authority.pem, "server_name": "app.example"})), Outcome::Serving, "HTTP 200");
    is(&ask(json!({"ca_pem": other.pem, "server_name": "app.example"})), Outcome::TlsFailed, "UnknownIssuer");
    is(&ask(json!({"ca_pem": authority.pem, "server_name": "b.example"})), Outcome::TlsFailed, "not valid for name");
    is(&ask(json!({"server_name": "b.example", "verify": false})), Outcome::Serving, "HTTP 200");
    let tcp = probe("tcp", authority.serve(false, None).address, json!({"tls": {"server_name": "a", "verify": false}}));
    is(&tcp, Outcome::Serving, "");
}

#[test]
fn the_own_certificate_is_shown() {
    let authority = Authority::new("ca");
    let (chain, key) = authority.issue("probe");
    let tls = json!({"ca_pem": authority.pem, "server_name": "app.example"});
    let refused = probe("http", authority.serve(true, None).address, json!({"tls": tls}));
    is(&refused, Outcome::TlsFailed, "CertificateRequired");
    let mut tls = tls;
    tls["client"] = json!({"chain_pem": chain, "key_pem": key});
    is(&probe("http", authority.serve(true, None).address, json!({"tls": tls})), Outcome::Serving, "HTTP 200");
}

#[test]
fn tls_that_does_not_come_about_says_why() {
    let tls = json!({"tls": {"server_name": "a", "verify": false}});
    let server = Server::one(says(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    is(&probe("grpc", server.address, tls.clone()), Outcome::TlsFailed, "does not speak TLS");
    let server = Server::one(drop);
    is(&probe("grpc", server.address, tls.clone()), Outcome::TlsFailed, "during the TLS handshake");
    let authority = Authority::new("ca");
    let server = authority.serve(false, Some("http/1.1"));
    is(&probe("grpc", server.address, tls.clone()), Outcome::TlsFailed, "NoApplicationProtocol");
    let server = Server::one(until_closed);
    let mut hasty = tls;
    hasty["connect_timeout_ms"] = json!(50);
    is(&probe("grpc", server.address, hasty), Outcome::ConnectTimeout, "TLS handshake did not end");
}
