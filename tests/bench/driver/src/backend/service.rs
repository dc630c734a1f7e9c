//! `api.Echo`: Echo (unary) and Feed (server streaming), and the layer that counts every call.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tidegate_bench::{ECHO, EchoMessage, FEED, FeedMessage, FeedRequest, feed_content};
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{Grpc, NamedService, ServerStreamingService, UnaryService};
use tonic::transport::server::TcpConnectInfo;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::counts::Counts;

/// Most content bytes that one feed may ask for.
const FEED_LIMIT_BYTES: u64 = 1 << 30;

#[derive(Clone)]
pub(crate) struct EchoService {
    delay: Duration,
}

impl EchoService {
    pub(crate) fn new(delay: Duration) -> Self {
        Self { delay }
    }
}

impl NamedService for EchoService {
    const NAME: &'static str = "api.Echo";
}

impl Service<Request<Body>> for EchoService {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let delay = self.delay;
        match request.uri().path() {
            ECHO => Box::pin(async move {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                let mut grpc = Grpc::new(ProstCodec::<EchoMessage, EchoMessage>::default());
                Ok(grpc.unary(Echo, request).await)
            }),
            FEED => Box::pin(async move {
                let mut grpc = Grpc::new(ProstCodec::<FeedMessage, FeedRequest>::default());
                Ok(grpc.server_streaming(Feed, request).await)
            }),
            _ => Box::pin(ready(Ok(Status::new(Code::Unimplemented, "no such method").into_http()))),
        }
    }
}

struct Echo;

impl UnaryService<EchoMessage> for Echo {
    type Response = EchoMessage;
    type Future = Ready<Result<tonic::Response<EchoMessage>, Status>>;

    fn call(&mut self, request: tonic::Request<EchoMessage>) -> Self::Future {
        ready(Ok(tonic::Response::new(request.into_inner())))
    }
}

struct Feed;

type Repeated = tokio_stream::Iter<std::iter::RepeatN<Result<FeedMessage, Status>>>;

impl ServerStreamingService<FeedRequest> for Feed {
    type Response = FeedMessage;
    type ResponseStream = Repeated;
    type Future = Ready<Result<tonic::Response<Repeated>, Status>>;

    fn call(&mut self, request: tonic::Request<FeedRequest>) -> Self::Future {
        let FeedRequest { messages, bytes } = request.into_inner();
        if u64::from(messages) * u64::from(bytes) > FEED_LIMIT_BYTES {
            return ready(Err(Status::invalid_argument("a feed is at most 1 GiB")));
        }
        let message = FeedMessage { content: feed_content(bytes) };
        let repeated = std::iter::repeat_n(Ok(message), messages as usize);
        ready(Ok(tonic::Response::new(tokio_stream::iter(repeated))))
    }
}

/// Counts each request by its path and its connection's address, before it is served; it is open until it is answered.
#[derive(Clone)]
pub(crate) struct CountLayer {
    counts: Arc<Counts>,
}

impl CountLayer {
    pub(crate) fn new(counts: Arc<Counts>) -> Self {
        Self { counts }
    }
}

impl<S> tower_layer::Layer<S> for CountLayer {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Counted { inner, counts: Arc::clone(&self.counts) }
    }
}

#[derive(Clone)]
pub(crate) struct Counted<S> {
    inner: S,
    counts: Arc<Counts>,
}

impl<S, B> Service<Request<B>> for Counted<S>
where
    S: Service<Request<B>>,
    S::Future: Send + 'static,
    S::Response: Send,
    S::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let address = request.extensions().get::<TcpConnectInfo>().and_then(TcpConnectInfo::local_addr);
        self.counts.served(request.uri().path(), address);
        let (counts, open, answer) = (Arc::clone(&self.counts), self.counts.open(), self.inner.call(request));
        Box::pin(async move {
            let response = answer.await;
            if counts.is_dying() {
                std::future::pending::<()>().await;
            }
            drop(open);
            response
        })
    }
}
