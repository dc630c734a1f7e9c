//! Tokens: what is taken apart has one spelling, and the parts are those of the token.

#![no_main]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libfuzzer_sys::fuzz_target;
use tidegate_datapath::authenticate::token::{MAX_TOKEN_BYTES, Token};
use tidegate_datapath::authenticate::userinfo;
use tidegate_datapath::snapshot::document::UserInfoFormat;

fn check(text: &[u8]) {
    let Ok(token) = Token::parse(text) else { return };
    assert!(text.len() <= MAX_TOKEN_BYTES);
    let signature = URL_SAFE_NO_PAD.encode(&token.signature);
    assert_eq!([token.signing_input, b".", signature.as_bytes()].concat(), text, "another spelling of the signature");
    assert_eq!(URL_SAFE_NO_PAD.encode(&token.payload), token.payload_segment, "another spelling of the payload");
    let payload: serde_json::Value = serde_json::from_str(&token.payload).unwrap_or(serde_json::Value::Null);
    if let Some(object) = payload.as_object() {
        assert_eq!(object.get("iss").map_or("", |issuer| issuer.as_str().expect("text")), token.claims.issuer);
        assert_eq!(object.get("sub").map(|subject| subject.as_str().expect("text")), token.claims.subject.as_deref());
    }
    let _ = token.claims.check_time(1_700_000_000, 60);
    for format in [UserInfoFormat::EspV1, UserInfoFormat::EspV2] {
        let value = userinfo::value(format, &token);
        assert!(value.iter().all(|byte| byte.is_ascii_graphic()), "not fit for a header");
    }
}

// The input is a token as it comes, and also the header and the payload (one line each) of one that is well coded.
fuzz_target!(|input: &[u8]| {
    check(input);
    let mut lines = input.splitn(2, |&byte| byte == b'\n');
    let (header, payload) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    check(format!("{}.{}.AAAA", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload)).as_bytes());
});
