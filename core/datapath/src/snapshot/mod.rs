//! What the request path serves: compiled from a document, swapped whole.

pub mod document;
