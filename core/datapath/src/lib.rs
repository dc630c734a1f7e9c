#![forbid(unsafe_code)]

pub mod route;
pub mod snapshot;
