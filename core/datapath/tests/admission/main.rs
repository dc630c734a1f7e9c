//! Rate limits and the adaptive concurrency limit, in virtual time.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod buckets;
mod gradient;
mod rate_limit;
mod server;
