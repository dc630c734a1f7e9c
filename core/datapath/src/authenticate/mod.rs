//! Who may call: JWTs are found, verified and remembered here.
//!
//! A request meets four things. The compiled [`Access`](decide::CompiledAccess) of its method says which providers may
//! vouch for the caller; `extract` finds the tokens at those providers' locations; the worker's own
//! [`TokenCache`](cache::TokenCache) knows tokens that were verified before; the [`KeyStore`](store::KeyStore), shared by
//! all workers, holds each provider's public keys. [`Authenticator`](decide::Authenticator) puts them together and
//! answers with a [`Decision`](decide::Decision).
//!
//! Nothing here reads a clock, opens a socket or starts a thread: time comes in as unix seconds, keys come in as
//! documents that Python fetched, and a request whose keys are not there yet is handed back with
//! [`Decision::Wait`](decide::Decision::Wait).
//!
//! Statuses and messages are those that ESPv2 users know (Envoy's `jwt_authn` filter). Where we are stricter than it,
//! the file says so and why.

pub mod algorithm;
pub mod cache;
mod certificate;
mod compile;
pub mod decide;
pub mod extract;
mod jwk;
pub mod keys;
mod members;
pub mod provider;
mod public_key;
pub mod status;
pub mod store;
pub mod token;
mod unknown;
pub mod userinfo;
