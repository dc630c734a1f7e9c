//! Probes through their public surface, against servers that a test writes byte by byte.

mod connecting;
mod grpc;
mod http;
mod prober;
mod requests;
mod server;
mod tls;
mod watching;
