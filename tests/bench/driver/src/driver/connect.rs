//! Connections to the proxy, cleartext or TLS.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::options::{CallKind, Options};

pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

pub(crate) type BoxedStream = Box<dyn Stream>;

#[derive(Clone)]
pub(crate) struct Connector {
    target: std::net::SocketAddr,
    tls: Option<TlsConnector>,
}

impl Connector {
    pub(crate) fn new(options: &Options) -> io::Result<Self> {
        let tls = match &options.ca {
            Some(ca) => Some(tls_connector(ca, options.call)?),
            None => None,
        };
        Ok(Self { target: options.target, tls })
    }

    pub(crate) async fn connect(&self) -> io::Result<BoxedStream> {
        let tcp = TcpStream::connect(self.target).await?;
        tcp.set_nodelay(true)?;
        match &self.tls {
            None => Ok(Box::new(tcp)),
            Some(tls) => {
                let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
                Ok(Box::new(tls.connect(name, tcp).await?))
            }
        }
    }
}

fn tls_connector(ca: &Path, call: CallKind) -> io::Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(io::Error::other)? {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let protocol: &[u8] = if call == CallKind::HealthHttp1 { b"http/1.1" } else { b"h2" };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
