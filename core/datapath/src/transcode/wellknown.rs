//! The well-known types of google.protobuf that have a JSON form of their own.

use super::scalar::{self, Token, TokenVisitor, delimited};
use prost::Message;
use prost_reflect::{DeserializeOptions, DynamicMessage, Kind, MessageDescriptor};
use serde::de::value::{Error as TextError, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// How a message stands in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An object of its fields.
    Object,
    /// A string: Timestamp, Duration, FieldMask.
    Text,
    /// The value of its field 1: `Int32Value` and its like.
    Wrapper,
    Value,
    Struct,
    List,
    Any,
}

pub(super) fn form(message: &MessageDescriptor) -> Form {
    match message.full_name().strip_prefix("google.protobuf.") {
        None => Form::Object,
        Some("Timestamp" | "Duration" | "FieldMask") => Form::Text,
        Some(
            "BoolValue" | "BytesValue" | "DoubleValue" | "FloatValue" | "Int32Value" | "Int64Value" | "StringValue"
            | "UInt32Value" | "UInt64Value",
        ) => Form::Wrapper,
        Some("Value") => Form::Value,
        Some("Struct") => Form::Struct,
        Some("ListValue") => Form::List,
        Some("Any") => Form::Any,
        Some(_) => Form::Object,
    }
}

/// The kind of a wrapper's value.
pub(super) fn wrapped(message: &MessageDescriptor) -> Option<Kind> {
    message.get_field(1).map(|field| field.kind())
}

/// Appends the content of a Timestamp, Duration or FieldMask.
pub(super) fn encode_text(message: &MessageDescriptor, text: &str, out: &mut Vec<u8>) -> Result<(), String> {
    let text: StrDeserializer<'_, TextError> = text.into_deserializer();
    let value = DynamicMessage::deserialize(message.clone(), text).map_err(|error| error.to_string())?;
    value.encode(out).map_err(|error| error.to_string())
}

/// Appends the content of a google.protobuf.Any given as JSON.
pub(super) fn encode_any<'de, D: Deserializer<'de>>(
    message: &MessageDescriptor,
    value: D,
    out: &mut Vec<u8>,
) -> Result<(), D::Error> {
    let options = DeserializeOptions::new().deny_unknown_fields(false);
    let value = DynamicMessage::deserialize_with_options(message.clone(), value, &options)?;
    value.encode(out).map_err(D::Error::custom)
}

// Field numbers of google/protobuf/struct.proto.
const NULL: u32 = 1;
const NUMBER: u32 = 2;
const STRING: u32 = 3;
const BOOL: u32 = 4;
const STRUCT: u32 = 5;
const LIST: u32 = 6;

/// Appends the content of a google.protobuf.Value.
pub(super) struct ValueSeed<'a>(pub(super) &'a mut Vec<u8>);
/// Appends the content of a google.protobuf.Struct.
pub(super) struct StructSeed<'a>(pub(super) &'a mut Vec<u8>);
/// Appends the content of a google.protobuf.ListValue.
pub(super) struct ListSeed<'a>(pub(super) &'a mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_any(self)
    }
}

impl ValueSeed<'_> {
    fn token<E: Error>(self, token: Token<'_>) -> Result<(), E> {
        let (number, kind) = match token {
            Token::Bool(_) => (BOOL, Kind::Bool),
            Token::Text(_) => (STRING, Kind::String),
            Token::Unsigned(_) | Token::Signed(_) | Token::Float(_) => (NUMBER, Kind::Double),
        };
        scalar::encode(number, &kind, &token, self.0).map_err(E::custom)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        scalar::encode(NULL, &Kind::Int32, &Token::Unsigned(0), self.0).map_err(E::custom)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.token(Token::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.token(Token::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.token(Token::Signed(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.token(Token::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.token(Token::Text(Cow::Borrowed(value)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        delimited(STRUCT, self.0, |out| StructSeed(out).visit_map(map))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        delimited(LIST, self.0, |out| ListSeed(out).visit_seq(list))
    }
}

impl<'de> DeserializeSeed<'de> for StructSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for StructSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(KeySeed)? {
            delimited(1, self.0, |entry| {
                scalar::encode(1, &Kind::String, &key, entry).map_err(A::Error::custom)?;
                delimited(2, entry, |out| map.next_value_seed(ValueSeed(out)))
            })?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for ListSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for ListSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        loop {
            let start = self.0.len();
            let mut found = false;
            delimited(1, self.0, |out| {
                found = list.next_element_seed(ValueSeed(out))?.is_some();
                Ok(())
            })?;
            if !found {
                self.0.truncate(start);
                return Ok(());
            }
        }
    }
}

/// The key of a JSON object, borrowed where it holds no escapes.
pub(super) struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Token<'de>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Token<'de>, D::Error> {
        key.deserialize_str(TokenVisitor)
    }
}
