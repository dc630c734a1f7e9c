//! The admin server: `GET /counts` and `GET /addresses` give the calls served per method and per address as JSON, `POST
//! /reset` sets them to zero, `POST /die` ends the process with SIGKILL.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use rustix::process::{Signal, getpid, kill_process};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use tokio::net::TcpListener;

use crate::counts::{Counts, CountsView};

pub(crate) async fn serve(listener: TcpListener, counts: Arc<Counts>) {
    let router = Router::new()
        .route("/counts", get(view))
        .route("/addresses", get(addresses))
        .route("/reset", post(reset))
        .route("/die", post(die))
        .with_state(counts);
    if let Err(error) = axum::serve(listener, router).await {
        eprintln!("admin server: {error}");
    }
}

async fn view(State(counts): State<Arc<Counts>>) -> Json<CountsView> {
    Json(counts.view())
}

async fn reset(State(counts): State<Arc<Counts>>) -> Json<CountsView> {
    counts.reset();
    Json(counts.view())
}

async fn addresses(State(counts): State<Arc<Counts>>) -> Json<BTreeMap<SocketAddr, u64>> {
    Json(counts.addresses())
}

/// Turns of the loop that write what was answered, and read what has arrived, before calls are counted.
const TURNS: usize = 100;

/// Says on standard output how many calls are open, and when (nanoseconds of the monotonic clock), and is gone. Nothing
/// runs between the count and the end: this process has one thread.
async fn die(State(counts): State<Arc<Counts>>) {
    counts.begin_to_die();
    for _ in 0..TURNS {
        tokio::task::yield_now().await;
    }
    let time = clock_gettime(ClockId::Monotonic);
    let last = json!({"open": counts.opened(), "time": time.tv_sec * 1_000_000_000 + time.tv_nsec});
    let _ = writeln!(std::io::stdout(), "{last}");
    let _ = kill_process(getpid(), Signal::KILL);
}
