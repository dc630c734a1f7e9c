//! What the request path serves: compiled from a document, swapped whole.

mod compile;
pub mod document;

pub use compile::{Address, Backend, Endpoint, Snapshot, check, compile_endpoints};
