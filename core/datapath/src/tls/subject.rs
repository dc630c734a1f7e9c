//! Distinguished names as OpenSSL prints them with XN_FLAG_RFC2253, which is what Envoy forwards.

use std::fmt::Write;

use x509_parser::asn1_rs::{Any, BmpString, Tag};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Object identifiers with the short names that OpenSSL prints for them.
const SHORT_NAMES: [(&str, &str); 14] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "street"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "title"),
    ("2.5.4.42", "GN"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
];

/// The most specific part first. Printable ASCII alone, whatever the certificate holds.
pub(super) fn print(name: &X509Name<'_>) -> String {
    let parts: Vec<String> =
        name.iter().map(|part| part.iter().map(print_attribute).collect::<Vec<String>>().join("+")).collect();
    parts.into_iter().rev().collect::<Vec<String>>().join(",")
}

fn print_attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let identifier = attribute.attr_type().to_id_string();
    let known = SHORT_NAMES.iter().find(|(known, _)| *known == identifier);
    match (known, text(attribute.attr_value())) {
        (Some((_, short)), Some(text)) => format!("{short}={}", escape(&text)),
        (Some((_, short)), None) => format!("{short}={}", hexadecimal(attribute.attr_value())),
        (None, _) => format!("{identifier}={}", hexadecimal(attribute.attr_value())),
    }
}

fn text(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::BmpString => BmpString::try_from(value.clone()).ok().map(|text| text.string()),
        Tag::T61String => Some(value.data.iter().map(|&byte| char::from(byte)).collect()),
        Tag::NumericString | Tag::VisibleString | Tag::PrintableString | Tag::Utf8String | Tag::Ia5String => {
            std::str::from_utf8(value.data).ok().map(str::to_string)
        }
        _ => None,
    }
}

/// RFC 2253 section 2.4, and what is not printable ASCII as `\` with two hexadecimal digits per byte of UTF-8.
fn escape(text: &str) -> String {
    let mut out = String::new();
    let last = text.len().saturating_sub(1);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => out.extend(['\\', char::from(byte)]),
            b'#' if at == 0 => out.push_str("\\#"),
            b' ' if at == 0 || at == last => out.push_str("\\ "),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => append_escape(&mut out, "\\", byte),
        }
    }
    out
}

/// `#` and the DER of the value.
fn hexadecimal(value: &Any<'_>) -> String {
    let mut out = String::from("#");
    let length = value.data.len();
    let tag = (value.class() as u8) << 6 | u8::from(value.header.is_constructed()) << 5 | value.tag().0 as u8 & 0x1f;
    append_escape(&mut out, "", tag);
    match length {
        0..=0x7f => append_escape(&mut out, "", length as u8),
        _ => {
            let bytes = length.to_be_bytes();
            let significant = bytes.iter().skip_while(|&&byte| byte == 0).count();
            append_escape(&mut out, "", 0x80 | significant as u8);
            bytes.iter().skip(bytes.len() - significant).for_each(|&byte| append_escape(&mut out, "", byte));
        }
    }
    value.data.iter().for_each(|&byte| append_escape(&mut out, "", byte));
    out
}

fn append_escape(out: &mut String, prefix: &str, byte: u8) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{prefix}{byte:02X}");
}
