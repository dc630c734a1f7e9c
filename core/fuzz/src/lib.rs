//! What the fuzz targets share.
//!
//! Inputs are what the parser reads, byte for byte, wherever that is possible: a captured message is a seed, and a crash
//! is a message to send. Choices beside the input (where to cut it) come from a generator that is seeded by the input.

#![forbid(unsafe_code)]

pub mod choices;
pub mod http2;
pub mod json;
pub mod library;
