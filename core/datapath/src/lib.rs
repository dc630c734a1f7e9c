//! The gateway's request path, in the order in which a request meets it:
//! bytes -> tls -> http2 | http1 -> route -> authenticate -> transcode -> balance -> upstream -> bytes, and back.

#![forbid(unsafe_code)]
// Nothing that comes from outside may end a worker, and standard output belongs to the access log.
#![warn(clippy::expect_used, clippy::panic, clippy::print_stderr, clippy::print_stdout, clippy::unwrap_used)]

pub mod access_log;
pub mod admission;
pub mod authenticate;
pub mod balance;
pub mod bytes;
pub mod gateway;
pub mod http1;
pub mod http2;
pub mod listen;
pub mod observe;
pub mod probe;
pub mod route;
pub mod shared;
pub mod snapshot;
pub mod tls;
pub mod transcode;
mod upstream;
pub mod worker;
