//! The admin server: `GET /counts` gives the calls served per method as JSON, `POST /reset` sets them to zero.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::counts::{Counts, CountsView};

pub(crate) async fn serve(listener: TcpListener, counts: Arc<Counts>) {
    let router = Router::new().route("/counts", get(view)).route("/reset", post(reset)).with_state(counts);
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
