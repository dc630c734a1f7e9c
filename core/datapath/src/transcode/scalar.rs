//! One scalar or enum field from a JSON token or from text, straight to protobuf's wire format.

use prost::encoding::{self as wire, WireType, encode_key, encode_varint, encoded_len_varint};
use prost_reflect::Kind;
use serde::de::{Error, Visitor};
use std::borrow::Cow;
use std::fmt;
use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;

/// A JSON value that is neither object, array nor null. What a query parameter or a path gives is `Text`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'a> {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'a, str>),
}

/// Appends the field `number` with the value that `token` means for `kind`, which is no message.
pub(super) fn encode(number: u32, kind: &Kind, token: &Token<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    match kind {
        Kind::Bool => wire::bool::encode(number, &boolean(token)?, out),
        Kind::Int32 => wire::int32::encode(number, &integer(token)?, out),
        Kind::Sint32 => wire::sint32::encode(number, &integer(token)?, out),
        Kind::Sfixed32 => wire::sfixed32::encode(number, &integer(token)?, out),
        Kind::Uint32 => wire::uint32::encode(number, &integer(token)?, out),
        Kind::Fixed32 => wire::fixed32::encode(number, &integer(token)?, out),
        Kind::Int64 => wire::int64::encode(number, &integer(token)?, out),
        Kind::Sint64 => wire::sint64::encode(number, &integer(token)?, out),
        Kind::Sfixed64 => wire::sfixed64::encode(number, &integer(token)?, out),
        Kind::Uint64 => wire::uint64::encode(number, &integer(token)?, out),
        Kind::Fixed64 => wire::fixed64::encode(number, &integer(token)?, out),
        Kind::Double => wire::double::encode(number, &float(token)?, out),
        Kind::Float => {
            let value = float(token)?;
            let narrow = value as f32;
            if narrow.is_infinite() && value.is_finite() {
                return Err("out of range".into());
            }
            wire::float::encode(number, &narrow, out);
        }
        Kind::String => bytes(number, text(token, "a string")?.as_bytes(), out),
        Kind::Bytes => {
            let value = super::status::decode_base64(text(token, "base64")?.as_bytes());
            bytes(number, &value.ok_or("expected base64")?, out);
        }
        Kind::Enum(kind) => {
            let named = match token {
                Token::Text(text) => kind.get_value_by_name(text).map(|value| value.number()),
                _ => None,
            };
            let value = match named {
                Some(value) => value,
                None => integer(token).map_err(|_| format!("expected a value of `{}`", kind.full_name()))?,
            };
            wire::int32::encode(number, &value, out);
        }
        Kind::Message(message) => return Err(format!("expected an object (`{}`)", message.full_name())),
    }
    Ok(())
}

/// Appends a length-delimited field.
pub(super) fn bytes(number: u32, value: &[u8], out: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, out);
    encode_varint(value.len() as u64, out);
    out.extend_from_slice(value);
}

/// Appends a length-delimited field whose content `write` appends.
pub(super) fn delimited<E>(
    number: u32,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    encode_key(number, WireType::LengthDelimited, out);
    let start = out.len();
    write(out)?;
    // The content moves up by the size of its length, which is known only now.
    let end = out.len();
    let length = (end - start) as u64;
    let gap = encoded_len_varint(length);
    out.resize(end + gap, 0);
    out.copy_within(start..end, start + gap);
    if let Some(mut place) = out.get_mut(start..start + gap) {
        encode_varint(length, &mut place);
    }
    Ok(())
}

fn boolean(token: &Token<'_>) -> Result<bool, String> {
    match token {
        Token::Bool(value) => Ok(*value),
        Token::Text(text) if text == "true" => Ok(true),
        Token::Text(text) if text == "false" => Ok(false),
        _ => Err("expected true or false".into()),
    }
}

fn integer<T>(token: &Token<'_>) -> Result<T, String>
where
    T: FromStr<Err = ParseIntError> + TryFrom<u64> + TryFrom<i64>,
{
    let range = || "out of range".to_owned();
    match token {
        Token::Unsigned(value) => T::try_from(*value).map_err(|_| range()),
        Token::Signed(value) => T::try_from(*value).map_err(|_| range()),
        // JSON has one kind of number: 1.0 and 1e3 are integers. The bounds are 2^64 and -2^63.
        Token::Float(value) if value.fract() != 0.0 => Err("expected an integer".into()),
        Token::Float(value) if (0.0..18_446_744_073_709_551_616.0).contains(value) => {
            T::try_from(*value as u64).map_err(|_| range())
        }
        Token::Float(value) if (-9_223_372_036_854_775_808.0..0.0).contains(value) => {
            T::try_from(*value as i64).map_err(|_| range())
        }
        Token::Float(_) => Err(range()),
        Token::Text(text) => text.parse().map_err(|error: ParseIntError| match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => range(),
            _ => "expected an integer".to_owned(),
        }),
        Token::Bool(_) => Err("expected an integer".into()),
    }
}

fn float(token: &Token<'_>) -> Result<f64, String> {
    match token {
        Token::Float(value) => Ok(*value),
        Token::Unsigned(value) => Ok(*value as f64),
        Token::Signed(value) => Ok(*value as f64),
        Token::Text(text) => match (&**text, text.parse::<f64>()) {
            ("NaN", _) => Ok(f64::NAN),
            ("Infinity", _) => Ok(f64::INFINITY),
            ("-Infinity", _) => Ok(f64::NEG_INFINITY),
            (_, Ok(value)) if value.is_finite() => Ok(value),
            (digits, Ok(_)) if digits.contains(|c: char| c.is_ascii_digit()) => Err("out of range".into()),
            _ => Err("expected a number".into()),
        },
        Token::Bool(_) => Err("expected a number".into()),
    }
}

fn text<'t>(token: &'t Token<'_>, wanted: &str) -> Result<&'t str, String> {
    match token {
        Token::Text(text) => Ok(text),
        _ => Err(format!("expected {wanted}")),
    }
}

/// Takes any token; what it must be depends on the field.
pub(super) struct TokenVisitor;

impl<'de> Visitor<'de> for TokenVisitor {
    type Value = Token<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, number or boolean")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Token<'de>, E> {
        Ok(Token::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Token<'de>, E> {
        Ok(Token::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Token<'de>, E> {
        Ok(Token::Signed(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Token<'de>, E> {
        Ok(Token::Float(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Token<'de>, E> {
        Ok(Token::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Token<'de>, E> {
        Ok(Token::Text(Cow::Borrowed(value)))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Token<'de>, E> {
        Ok(Token::Text(Cow::Owned(value)))
    }
}
