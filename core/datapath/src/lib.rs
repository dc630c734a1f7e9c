#![forbid(unsafe_code)]

pub mod http1;
pub mod snapshot;
pub mod tls;
