//! A message from JSON, written in one pass as protobuf.
//!
//! The text is never held as a tree of values: a body of a few megabytes could otherwise cost some thirty times its size.
//! Each field is encoded as its token is read. The mapping is that of proto3 JSON as ESP reads it: names of the
//! file or of JSON, unknown fields dropped, unknown enum names refused, 64-bit integers also as strings, null as absent. A
//! field that is there twice, in whatever spelling, is refused: readers differ on which counts. Of a map's entries with one
//! key the last counts, as on the wire.
//! Objects nest at most as deep as serde_json allows (128).

use super::fields::find;
use super::scalar::{self, Token, TokenVisitor, delimited};
use super::wellknown::{self, Form, KeySeed, ListSeed, StructSeed, ValueSeed};
use prost::encoding::{WireType, encode_key};
use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Appends the content of a message.
pub(super) struct MessageSeed<'a> {
    pub(super) message: &'a MessageDescriptor,
    pub(super) out: &'a mut Vec<u8>,
}

/// Appends a field, with its key; nothing for null.
pub(super) struct FieldSeed<'a> {
    pub(super) field: &'a FieldDescriptor,
    pub(super) out: &'a mut Vec<u8>,
}

/// Appends one value of a field: that of a singular field or one of a repeated field.
struct ValueOf<'a> {
    name: &'a str,
    number: u32,
    kind: &'a Kind,
    group: bool,
    out: &'a mut Vec<u8>,
}

struct ListVisitor<'a>(FieldSeed<'a>);
struct MapVisitor<'a>(FieldSeed<'a>);

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        match wellknown::form(self.message) {
            Form::Object => value.deserialize_map(self),
            Form::Value => ValueSeed(self.out).deserialize(value),
            Form::Struct => StructSeed(self.out).deserialize(value),
            Form::List => ListSeed(self.out).deserialize(value),
            Form::Any => wellknown::encode_any(self.message, value, self.out),
            Form::Text => match value.deserialize_any(TokenVisitor)? {
                Token::Text(text) => wellknown::encode_text(self.message, &text, self.out).map_err(D::Error::custom),
                _ => Err(D::Error::custom(format!("expected a string (`{}`)", self.message.full_name()))),
            },
            Form::Wrapper => {
                let token = value.deserialize_any(TokenVisitor)?;
                let kind = wellknown::wrapped(self.message).unwrap_or(Kind::String);
                scalar::encode(1, &kind, &token, self.out).map_err(D::Error::custom)
            }
        }
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object (`{}`)", self.message.full_name())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut seen, mut taken): (Vec<u32>, Vec<String>) = Default::default();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let Token::Text(key) = key else { continue };
            let Some(field) = find(self.message, &key) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen.contains(&field.number()) {
                return Err(A::Error::custom(format!("`{}` is there twice", field.name())));
            }
            seen.push(field.number());
            let before = self.out.len();
            map.next_value_seed(FieldSeed { field: &field, out: self.out })?;
            if let Some(oneof) = field.containing_oneof().filter(|_| self.out.len() > before) {
                if taken.iter().any(|name| name == oneof.name()) {
                    return Err(A::Error::custom(format!("more than one field of `{}` is set", oneof.name())));
                }
                taken.push(oneof.name().to_owned());
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        value.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of `{}`", self.field.full_name())
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        let number = self.field.number();
        match self.field.kind() {
            Kind::Message(message) if wellknown::form(&message) == Form::Value && !self.field.is_list() => {
                delimited(number, self.out, |out| ValueSeed(out).visit_unit())
            }
            Kind::Enum(kind) if kind.full_name() == "google.protobuf.NullValue" => {
                scalar::encode(number, &Kind::Int32, &Token::Unsigned(0), self.out).map_err(E::custom)
            }
            _ => Ok(()),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        if self.field.is_list() {
            return value.deserialize_seq(ListVisitor(self));
        }
        if self.field.is_map() {
            return value.deserialize_map(MapVisitor(self));
        }
        let kind = self.field.kind();
        let number = self.field.number();
        let group = self.field.is_group();
        ValueOf { name: self.field.name(), number, kind: &kind, group, out: self.out }.deserialize(value)
    }
}

impl<'de> DeserializeSeed<'de> for ValueOf<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        let ValueOf { name, number, kind, group, out } = self;
        match kind {
            Kind::Message(message) if group => {
                encode_key(number, WireType::StartGroup, out);
                MessageSeed { message, out }.deserialize(value)?;
                encode_key(number, WireType::EndGroup, out);
                Ok(())
            }
            Kind::Message(message) => delimited(number, out, |out| MessageSeed { message, out }.deserialize(value)),
            kind => {
                let token = value.deserialize_any(TokenVisitor)?;
                scalar::encode(number, kind, &token, out)
                    .map_err(|message| D::Error::custom(format!("`{name}`: {message}")))
            }
        }
    }
}

impl<'de> Visitor<'de> for ListVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array (`{}`)", self.0.field.full_name())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let FieldSeed { field, out } = self.0;
        let (number, kind, group) = (field.number(), field.kind(), field.is_group());
        let name = field.name();
        while list.next_element_seed(ValueOf { name, number, kind: &kind, group, out })?.is_some() {}
        Ok(())
    }
}

impl<'de> Visitor<'de> for MapVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object (`{}`)", self.0.field.full_name())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let FieldSeed { field, out } = self.0;
        let Kind::Message(entry) = field.kind() else { return Err(A::Error::custom("not a map")) };
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let (key_kind, value_kind) = (key.kind(), value.kind());
        while let Some(token) = map.next_key_seed(KeySeed)? {
            delimited(field.number(), out, |out| {
                scalar::encode(key.number(), &key_kind, &token, out)
                    .map_err(|message| A::Error::custom(format!("a key of `{}`: {message}", field.name())))?;
                map.next_value_seed(ValueOf {
                    name: field.name(),
                    number: value.number(),
                    kind: &value_kind,
                    group: false,
                    out,
                })
            })?;
        }
        Ok(())
    }
}
