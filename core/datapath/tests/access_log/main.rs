//! The access log through its public surface.

mod format;
mod sampler;
mod writer;

use tidegate_datapath::access_log::{Protocol, Record, TraceContext};

pub(crate) fn record() -> Record {
    Record {
        start_unix_ns: 1_234_567_890_123_456_789,
        duration_ns: 1_250_000,
        method: "api.Echo/Echo".into(),
        http_method: "POST".into(),
        path: "/api.Echo/Echo".into(),
        authority: "api.example:443".into(),
        is_tls: true,
        status: 200,
        grpc_status: Some(0),
        reason: "",
        limit: "".into(),
        bytes_in: 105,
        bytes_out: 1 << 40,
        upstream: "127.0.0.1:50051".into(),
        client: "203.0.113.9".into(),
        protocol: Protocol::Http2,
        request_id: "5f1c".into(),
        trace: TraceContext::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        user_agent: "grpc-python/1.85".into(),
        jwt_issuer: "https://issuer.example".into(),
    }
}
