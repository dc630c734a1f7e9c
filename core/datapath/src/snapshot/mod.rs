//! What the request path serves: compiled from a document, swapped whole.

mod address;
mod backend;
mod compile;
pub mod document;
mod retries;

pub use address::Address;
pub use backend::{Backend, Endpoint, compile_endpoints};
pub use compile::{Snapshot, check};
