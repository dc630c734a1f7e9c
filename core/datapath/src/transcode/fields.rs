//! Single fields from text: what path variables and query parameters bind.
//!
//! A protobuf message may be written in pieces: of two encodings one after the other, a parser takes the later scalar,
//! appends repeated fields and merges nested messages. So a bound field needs no message to be set in. It is encoded on
//! its own, from the outermost message's field down, and appended to what the body gave.

use super::scalar::{self, Token};
use super::wellknown::{self, Form};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use std::borrow::Cow;
use std::fmt;

/// Deeper paths are refused. Protobuf parsers stop at a hundred nested messages.
const MAX_DEPTH: usize = 32;

/// From a request message to a field that text can be written to.
#[derive(Clone)]
pub struct FieldPath {
    name: String,
    /// The numbers of the messages on the way.
    parents: Vec<u32>,
    number: u32,
    kind: Kind,
    repeated: bool,
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FieldPath").field(&self.name).finish()
    }
}

/// Why a dotted path names no field that text can be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldPathError {
    Unknown(String),
    Unfit(String),
}

impl FieldPathError {
    pub fn message(&self) -> &str {
        match self {
            FieldPathError::Unknown(message) | FieldPathError::Unfit(message) => message,
        }
    }
}

impl FieldPath {
    /// Finds `a.b.c`, each by its name in the file or in JSON.
    pub fn resolve(message: &MessageDescriptor, path: &str) -> Result<FieldPath, FieldPathError> {
        let unfit = |message: String| Err(FieldPathError::Unfit(message));
        let mut parents = Vec::new();
        let mut message = message.clone();
        let mut parts = path.split('.').peekable();
        loop {
            let part = parts.next().unwrap_or_default();
            let Some(field) = find(&message, part) else {
                let message = format!("`{}` has no field `{part}`", message.full_name());
                return Err(FieldPathError::Unknown(message));
            };
            if parents.len() >= MAX_DEPTH {
                return unfit(format!("`{path}` is more than {MAX_DEPTH} messages deep"));
            }
            if field.is_map() {
                return unfit(format!("`{part}` is a map"));
            }
            let last = parts.peek().is_none();
            match field.kind() {
                Kind::Message(inner) if !last => {
                    if field.is_list() || field.is_group() {
                        return unfit(format!("`{part}` is repeated: its fields cannot be named"));
                    }
                    parents.push(field.number());
                    message = inner;
                }
                _ if !last => return unfit(format!("`{part}` is no message: it has no fields")),
                kind => return FieldPath::leaf(path, parents, &field, kind),
            }
        }
    }

    fn leaf(
        path: &str,
        mut parents: Vec<u32>,
        field: &FieldDescriptor,
        kind: Kind,
    ) -> Result<FieldPath, FieldPathError> {
        let name = path.to_owned();
        let (number, repeated) = (field.number(), field.is_list());
        let Kind::Message(message) = &kind else { return Ok(FieldPath { name, parents, number, kind, repeated }) };
        match (wellknown::form(message), wellknown::wrapped(message)) {
            (Form::Text, _) => Ok(FieldPath { name, parents, number, kind, repeated }),
            (Form::Wrapper, Some(value)) if !repeated => {
                parents.push(number);
                Ok(FieldPath { name, parents, number: 1, kind: value, repeated: false })
            }
            _ => Err(FieldPathError::Unfit(format!(
                "`{path}` is a message (`{}`): name one of its fields",
                message.full_name()
            ))),
        }
    }

    /// As it was written.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn is_repeated(&self) -> bool {
        self.repeated
    }

    /// Whether both name the same field.
    pub fn same_field(&self, other: &FieldPath) -> bool {
        self.number == other.number && self.parents == other.parents
    }

    /// Appends the field's encoding with the value that `text` means; an error says what was expected.
    pub fn encode(&self, text: &str, out: &mut Vec<u8>) -> Result<(), String> {
        let mut field = Vec::with_capacity(text.len() + 16);
        self.encode_leaf(text, &mut field)?;
        // Lengths from the inside out: each message holds the next one's key, length and content.
        let mut lengths = Vec::with_capacity(self.parents.len());
        let mut length = field.len();
        for number in self.parents.iter().rev() {
            lengths.push(length);
            length += key_len(*number) + encoded_len_varint(length as u64);
        }
        for (number, length) in self.parents.iter().zip(lengths.iter().rev()) {
            encode_key(*number, WireType::LengthDelimited, out);
            encode_varint(*length as u64, out);
        }
        out.extend_from_slice(&field);
        Ok(())
    }

    fn encode_leaf(&self, text: &str, out: &mut Vec<u8>) -> Result<(), String> {
        match &self.kind {
            Kind::Message(message) => {
                scalar::delimited(self.number, out, |out| wellknown::encode_text(message, text, out))
            }
            kind => scalar::encode(self.number, kind, &Token::Text(Cow::Borrowed(text)), out),
        }
    }
}

/// A field by its name in the file or in JSON.
pub(super) fn find(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message.get_field_by_name(name).or_else(|| message.get_field_by_json_name(name))
}
