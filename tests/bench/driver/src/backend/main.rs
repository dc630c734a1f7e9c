//! A real gRPC server (tonic) that counts what it served.

mod admin;
mod counts;
mod listen;
mod service;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use tokio_stream::{StreamExt, StreamMap};
use tonic::transport::{Identity, Server, ServerTlsConfig};

use crate::counts::Counts;
use crate::service::{CountLayer, EchoService};

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "gRPC backend of the benchmarks: api.Echo, grpc.health.v1 and a count of calls served per method")]
struct Options {
    /// Address of the gRPC server; may be given several times. 0.0.0.0:PORT is every address of this machine at once,
    /// for clients on this machine alone.
    #[arg(long, default_value = "127.0.0.1:9001")]
    listen: Vec<SocketAddr>,
    /// Address of the admin server: GET /counts, GET /addresses, POST /reset, POST /die.
    #[arg(long, default_value = "127.0.0.1:9002")]
    admin: SocketAddr,
    /// Milliseconds after which an Echo is answered.
    #[arg(long, default_value_t = 0)]
    delay: u64,
    /// Certificate chain (PEM): serve TLS.
    #[arg(long, requires = "key")]
    certificate: Option<PathBuf>,
    /// Private key (PEM).
    #[arg(long, requires = "certificate")]
    key: Option<PathBuf>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let counts = Arc::new(Counts::default());

    let admin = tokio::net::TcpListener::bind(options.admin).await?;
    let mut incoming = StreamMap::new();
    for address in &options.listen {
        incoming.insert(*address, listen::bind(*address)?);
    }
    let incoming = incoming.map(|(_, accepted)| accepted);
    eprintln!("grpc {:?} admin {}", options.listen, admin.local_addr()?);
    tokio::spawn(admin::serve(admin, Arc::clone(&counts)));

    let (_health, health_service) = tonic_health::server::health_reporter();
    // As grpc-go, grpc-java and grpcio: no limit of streams per connection unless the operator sets one.
    let mut server = Server::builder().max_concurrent_streams(Some(i32::MAX as u32));
    if let (Some(certificate), Some(key)) = (&options.certificate, &options.key) {
        let identity = Identity::from_pem(std::fs::read(certificate)?, std::fs::read(key)?);
        server = server.tls_config(ServerTlsConfig::new().identity(identity))?;
    }
    server
        .layer(CountLayer::new(counts))
        .add_service(EchoService::new(Duration::from_millis(options.delay)))
        .add_service(health_service)
        .serve_with_incoming_shutdown(incoming, async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    Ok(())
}
