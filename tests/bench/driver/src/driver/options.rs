//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CallKind {
    /// Unary gRPC, 100-byte body each way.
    Echo,
    /// Server streaming gRPC.
    Feed,
    /// GET /v1/health over HTTP/2.
    HealthH2,
    /// GET /v1/health over HTTP/1.1, keep-alive.
    HealthHttp1,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TokenChange {
    Connection,
    Request,
}

/// Sends calls, verifies every response, prints one JSON object.
///
/// Closed loop: `streams` calls are kept in flight on each connection. With `--rate` the loop is open: call i is due at
/// start + i / rate, whether or not earlier ones have been answered, and its latency counts from when it was due.
#[derive(Clone, Parser)]
#[command(name = "bench-driver")]
pub(crate) struct Options {
    /// Address of the proxy.
    #[arg(long)]
    pub(crate) target: SocketAddr,
    #[arg(long, value_enum, default_value = "echo")]
    pub(crate) call: CallKind,
    #[arg(long, default_value_t = 16)]
    pub(crate) connections: usize,
    /// Calls in flight per connection (closed loop; HTTP/1.1 always has one).
    #[arg(long, default_value_t = 10)]
    pub(crate) streams: usize,
    /// Calls to make, over all connections.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) requests: u64,
    /// Closed loop: stop starting calls after this time, even if some of `requests` are left.
    #[arg(long, value_parser = seconds)]
    pub(crate) duration: Option<Duration>,
    /// Calls per second, over all connections (open loop).
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Open loop: calls are due only at multiples of this time, all that have accumulated at once, as h2load's --rps
    /// sends them every 10 ms. 0: each call is due at its own time.
    #[arg(long, value_parser = seconds, default_value = "0")]
    pub(crate) tick: Duration,
    /// Also tell the calls of each such time apart, by when they were sent. 0: do not.
    #[arg(long, value_parser = seconds, default_value = "0")]
    pub(crate) window: Duration,
    /// Calls made on each connection before the measured ones; they are verified, but neither timed nor counted.
    #[arg(long, default_value_t = 1)]
    pub(crate) warm_up: u64,
    /// Repeat the first call until it succeeds, at most for this time.
    #[arg(long, value_parser = seconds)]
    pub(crate) wait: Option<Duration>,
    /// Once warm, print `ready` and wait for a line on standard input; keep the connections open after the result until
    /// standard input is closed.
    #[arg(long)]
    pub(crate) gate: bool,
    /// Calls without an answer after this time, counted from the start of the run, have failed.
    #[arg(long, value_parser = seconds, default_value = "120")]
    pub(crate) limit: Duration,
    /// Threads, each with its share of the connections.
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// Bearer tokens, one per line.
    #[arg(long)]
    pub(crate) tokens: Option<PathBuf>,
    #[arg(long, value_enum, default_value = "connection")]
    pub(crate) token_change: TokenChange,
    /// CA certificate (PEM): TLS with ALPN, server name `localhost`.
    #[arg(long)]
    pub(crate) ca: Option<PathBuf>,
    /// Messages of each feed.
    #[arg(long, default_value_t = 16)]
    pub(crate) feed_messages: u32,
    /// Content bytes of each message of a feed.
    #[arg(long, default_value_t = 65_536)]
    pub(crate) feed_bytes: u32,
    /// Seed of what varies in headers.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text.trim_end_matches('s').parse().map_err(|_| format!("not a number of seconds: {text:?}"))?;
    Duration::try_from_secs_f64(value).map_err(|error| error.to_string())
}
