//! One connection: makes calls on it, and a new one when the proxy has closed it.

use bytes::Bytes;
use h2::client::SendRequest;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::sync::Mutex;

use crate::connect::Connector;
use crate::expect::{Exchange, Progress};
use crate::headers::Requests;
use crate::options::{CallKind, Options};
use crate::tally::CallFailure;

/// What the driver grants the proxy: room for several 64 KiB messages per stream, never the bottleneck.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

type Http1Sender = hyper::client::conn::http1::SendRequest<Empty<Bytes>>;

#[derive(Clone)]
enum Transport {
    Http2(SendRequest<Bytes>),
    Http1,
}

pub(crate) struct Client {
    connector: Connector,
    requests: Requests,
    exchange: Exchange,
    http1: bool,
    shared: Mutex<Shared>,
}

/// `number` grows with every reconnection, so that of many calls that failed together only one reconnects.
#[derive(Default)]
struct Shared {
    number: u64,
    transport: Option<Transport>,
    http1: Option<Http1Sender>,
}

/// One caller's handle: a clone of the transport, taken anew after a failure.
#[derive(Default)]
pub(crate) struct Caller {
    number: u64,
    transport: Option<Transport>,
}

impl Client {
    pub(crate) fn new(options: &Options, connector: Connector, requests: Requests, connection: usize) -> Self {
        Self {
            connector,
            requests,
            exchange: Exchange::new(options, connection),
            http1: options.call == CallKind::HealthHttp1,
            shared: Mutex::default(),
        }
    }

    /// Makes one call; bytes of the response's body if everything in it was right.
    pub(crate) async fn call(&self, caller: &mut Caller) -> Result<u64, CallFailure> {
        let transport = match caller.transport.take() {
            Some(transport) => transport,
            None => self.transport(caller).await?,
        };
        let outcome = match transport.clone() {
            Transport::Http2(sender) => self.call_http2(sender).await,
            Transport::Http1 => self.call_http1().await,
        };
        if matches!(outcome, Err(CallFailure::Connection)) {
            let mut shared = self.shared.lock().await;
            if shared.number == caller.number {
                shared.transport = None;
            }
        } else {
            caller.transport = Some(transport);
        }
        outcome
    }

    async fn transport(&self, caller: &mut Caller) -> Result<Transport, CallFailure> {
        let mut shared = self.shared.lock().await;
        if shared.transport.is_none() {
            let stream = self.connector.connect().await.map_err(|_| CallFailure::Connect)?;
            let transport = if self.http1 {
                let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
                let (sender, connection) = handshake.map_err(|_| CallFailure::Connect)?;
                tokio::task::spawn_local(connection);
                shared.http1 = Some(sender);
                Transport::Http1
            } else {
                let handshake = h2::client::Builder::new()
                    .enable_push(false)
                    .initial_window_size(STREAM_WINDOW_BYTES)
                    .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                    .handshake(stream)
                    .await;
                let (sender, connection) = handshake.map_err(|_| CallFailure::Connect)?;
                tokio::task::spawn_local(connection);
                Transport::Http2(sender)
            };
            shared.number += 1;
            shared.transport = Some(transport);
        }
        caller.number = shared.number;
        shared.transport.clone().ok_or(CallFailure::Connect)
    }

    async fn call_http2(&self, sender: SendRequest<Bytes>) -> Result<u64, CallFailure> {
        let mut sender = sender.ready().await.map_err(failure)?;
        let without_body = self.exchange.request.is_empty();
        let (response, mut stream) = sender.send_request(self.requests.next(()), without_body).map_err(failure)?;
        if !without_body {
            stream.send_data(self.exchange.request.clone(), true).map_err(failure)?;
        }
        let (head, mut body) = response.await.map_err(failure)?.into_parts();
        let mut progress = Progress::default();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.map_err(failure)?;
            self.exchange.chunk(&mut progress, &chunk);
            body.flow_control().release_capacity(chunk.len()).map_err(failure)?;
        }
        let trailers = if self.exchange.is_grpc() { body.trailers().await.map_err(failure)? } else { None };
        self.exchange.verdict(head.status, &head.headers, &progress, trailers.as_ref())
    }

    async fn call_http1(&self) -> Result<u64, CallFailure> {
        let mut shared = self.shared.lock().await;
        let sender = shared.http1.as_mut().ok_or(CallFailure::Connection)?;
        sender.ready().await.map_err(|_| CallFailure::Connection)?;
        let request = self.requests.next(Empty::new());
        let (head, mut body) = sender.send_request(request).await.map_err(|_| CallFailure::Connection)?.into_parts();
        let mut progress = Progress::default();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| CallFailure::Connection)?;
            if let Some(chunk) = frame.data_ref() {
                self.exchange.chunk(&mut progress, chunk);
            }
        }
        self.exchange.verdict(head.status, &head.headers, &progress, None)
    }
}

fn failure(error: h2::Error) -> CallFailure {
    match error.reason() {
        Some(reason) if error.is_reset() => CallFailure::Reset(format!("{reason:?}")),
        _ => CallFailure::Connection,
    }
}
