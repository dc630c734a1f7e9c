//! Statuses between gRPC and HTTP, and the bodies that say them.

use super::any::{RawAny, check, content};
use crate::route::path::{percent_decode, push_escape};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost::Message;
use prost_reflect::DescriptorPool;
use serde_json::{Value, json};

// google.rpc.Code, as far as the gateway itself speaks of them.
pub const OK: u32 = 0;
pub const CANCELLED: u32 = 1;
pub const UNKNOWN: u32 = 2;
pub const DEADLINE_EXCEEDED: u32 = 4;
pub const NOT_FOUND: u32 = 5;
pub const PERMISSION_DENIED: u32 = 7;
pub const RESOURCE_EXHAUSTED: u32 = 8;
pub const UNIMPLEMENTED: u32 = 12;
pub const INTERNAL: u32 = 13;
pub const UNAVAILABLE: u32 = 14;
pub const UNAUTHENTICATED: u32 = 16;

/// ESP's table.
pub fn http_from_grpc(code: u32) -> u16 {
    match code {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}

/// The gRPC status of an error that HTTP would say with `status`: gRPC's own table (http-grpc-status-mapping), and beyond it
/// 413 and 431 for limits, 405 as 404, 499 for a client that left.
pub fn grpc_from_http(status: u16) -> u32 {
    match status {
        200 => OK,
        400 | 500 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 | 405 | 501 => UNIMPLEMENTED,
        413 | 431 => RESOURCE_EXHAUSTED,
        429 | 502 | 503 => UNAVAILABLE,
        499 => CANCELLED,
        504 => DEADLINE_EXCEEDED,
        _ => UNKNOWN,
    }
}

/// How a gRPC call ended, from its trailers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// None: `grpc-status` is no number.
    pub code: Option<u32>,
    pub message: String,
    /// The serialized google.rpc.Status of `grpc-status-details-bin`.
    pub details: Option<Vec<u8>>,
}

impl Outcome {
    /// Reads the values of `grpc-status`, `grpc-message` and `grpc-status-details-bin`. A call without a status is UNKNOWN.
    pub fn parse(status: Option<&[u8]>, message: Option<&[u8]>, details: Option<&[u8]>) -> Outcome {
        let code = match status {
            None => Some(UNKNOWN),
            Some(text) => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()),
        };
        Outcome {
            code,
            message: message.map(decode_message).unwrap_or_default(),
            details: details.and_then(decode_base64),
        }
    }

    /// 503 where `grpc-status` is no number, as in ESP.
    pub fn http_status(&self) -> u16 {
        self.code.map_or(503, http_from_grpc)
    }

    /// The google.rpc.Status as JSON: `code` is gRPC's here, `details` only where there are any. A detail whose type `pool`
    /// does not know is `{"@type", "value": base64}`.
    pub fn json(&self, pool: &DescriptorPool) -> Vec<u8> {
        let mut body = json!({"code": self.code.unwrap_or(UNKNOWN), "message": self.message});
        let status = self.details.as_deref().and_then(|bytes| RpcStatus::decode(bytes).ok()).unwrap_or_default();
        let details: Vec<Value> = status.details.iter().map(|detail| detail_json(pool, detail)).collect();
        if !details.is_empty() {
            body["details"] = Value::Array(details);
        }
        body.to_string().into_bytes()
    }
}

/// google/rpc/status.proto; code and message are taken from their own trailers.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(message, repeated, tag = "3")]
    details: Vec<RawAny>,
}

fn detail_json(pool: &DescriptorPool, any: &RawAny) -> Value {
    let printed = content(pool, any)
        .filter(|message| check(message).is_ok())
        .and_then(|message| serde_json::to_value(&message).ok());
    match printed {
        Some(Value::Object(mut fields)) if !any.type_url.contains("/google.protobuf.") => {
            fields.insert("@type".into(), any.type_url.clone().into());
            Value::Object(fields)
        }
        Some(value) => json!({"@type": any.type_url, "value": value}),
        None => {
            let value = base64::engine::general_purpose::STANDARD.encode(&any.value);
            json!({"@type": any.type_url, "value": value})
        }
    }
}

/// The body of an error that the gateway makes: `code` is the HTTP status.
pub fn error_body(status: u16, message: &str) -> Vec<u8> {
    json!({"code": status, "message": message}).to_string().into_bytes()
}

/// A message as the value of `grpc-message`: all but printable ASCII is percent-encoded, and `%` itself.
pub fn encode_message(message: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b'%' => push_escape(byte, &mut out),
            b' '..=b'~' => out.push(byte),
            _ => push_escape(byte, &mut out),
        }
    }
    out
}

/// The message in a value of `grpc-message`. What is broken is kept as it is or replaced, never refused.
pub fn decode_message(value: &[u8]) -> String {
    let mut out = Vec::with_capacity(value.len());
    percent_decode(value, |_| true, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// Base64 in the standard or the URL alphabet, padded or not.
pub(super) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    const URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    if text.iter().any(|byte| matches!(byte, b'-' | b'_')) { URL.decode(text) } else { STANDARD.decode(text) }.ok()
}
