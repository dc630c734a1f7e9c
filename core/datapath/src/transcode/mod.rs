//! Between HTTP with JSON and gRPC: descriptors, requests, responses and statuses. Unary calls only.

pub mod annotations;
pub mod binding;
pub mod descriptors;
pub mod fields;
pub mod frame;
pub mod health;
pub mod query;
pub mod response;
pub mod status;

mod any;
mod json;
mod scalar;
mod wellknown;
