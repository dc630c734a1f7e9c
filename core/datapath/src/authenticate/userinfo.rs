//! The value of `X-Endpoint-API-UserInfo`, which tells the backend who calls.
//!
//! ESPv2 sends the token's payload segment as it came. ESP v1 sent base64url, padded, of an object in this order, empty
//! members left out: `claims` (the payload's JSON text as a *string*, although Google's documentation shows an object:
//! backends decode it twice), `issuer`, `id` (from `sub`), `email`, `audiences` (an array, sorted, each once).

use super::token::{Claims, Token};
use crate::snapshot::document::UserInfoFormat;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use serde::Serialize;
use std::collections::BTreeSet;

#[derive(Serialize)]
struct EspV1<'a> {
    claims: &'a str,
    issuer: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    email: &'a str,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    audiences: BTreeSet<&'a str>,
}

/// The header's value for a token that was verified.
pub fn value(format: UserInfoFormat, token: &Token) -> Box<[u8]> {
    match format {
        UserInfoFormat::EspV2 => token.payload_segment.as_bytes().into(),
        UserInfoFormat::EspV1 => esp_v1(&token.claims, &token.payload).into_bytes().into(),
    }
}

fn esp_v1(claims: &Claims, payload: &str) -> String {
    let info = EspV1 {
        claims: payload,
        issuer: &claims.issuer,
        id: claims.subject.as_deref().unwrap_or_default(),
        email: claims.email.as_deref().unwrap_or_default(),
        audiences: claims.audiences.iter().map(String::as_str).collect(),
    };
    URL_SAFE.encode(serde_json::to_string(&info).unwrap_or_default())
}
