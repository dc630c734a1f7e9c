#![forbid(unsafe_code)]

pub mod route;
pub mod snapshot;
pub mod transcode;
