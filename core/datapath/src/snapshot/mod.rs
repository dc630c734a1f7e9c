//! What the workers serve: the document that Python writes.

pub mod document;
