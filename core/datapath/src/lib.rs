#![forbid(unsafe_code)]

pub mod authenticate;
pub mod snapshot;
