//! Header compression (RFC 7541).
//!
//! Both tables hold reference-counted, pre-hashed fields, so a field that one peer indexed is found in the other peer's
//! table without being copied or hashed again: a block of indexed fields is decoded and coded anew in tens of
//! nanoseconds. Two rules keep that honest: the encoder mirrors the sender's choice to index, except for fields that
//! change with every request, and credentials are never indexed, whatever the sender did.

mod decoder;
mod encoder;
mod field;
mod huffman;
mod integer;
mod list;
mod paths;
mod static_table;
mod token;

pub use decoder::{DecodeError, Decoder};
pub use encoder::Encoder;
pub use field::{Dictionary, Field};
pub use huffman::{HuffmanError, decode as huffman_decode};
pub use list::{HeaderList, Limits};
pub use token::Token;

/// SETTINGS_HEADER_TABLE_SIZE until a peer says otherwise (RFC 9113, section 6.5.2); we never use more.
pub const TABLE_SIZE: usize = 4096;
