#![forbid(unsafe_code)]

pub mod access_log;
pub mod http1;
pub mod snapshot;
pub mod tls;
