use crate::library::descriptors;
use proptest::prelude::*;
use prost_reflect::prost_types::Any;
use serde_json::{Value, json};
use tidegate_datapath::transcode::status::{
    Outcome, decode_message, encode_message, error_body, grpc_from_http, http_from_grpc,
};

#[test]
fn grpc_statuses_have_esps_http_statuses() {
    let expected = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401];
    for (code, status) in (0u32..).zip(expected) {
        assert_eq!(http_from_grpc(code), status, "{code}");
    }
    assert_eq!(http_from_grpc(17), 500);
}

#[test]
fn http_statuses_have_grpc_statuses() {
    for (status, code) in [
        (400, 13),
        (401, 16),
        (403, 7),
        (404, 12),
        (405, 12),
        (413, 8),
        (431, 8),
        (429, 14),
        (502, 14),
        (503, 14),
        (504, 4),
        (418, 2),
    ] {
        assert_eq!(grpc_from_http(status), code, "{status}");
    }
}

#[test]
fn an_outcome_is_read_from_its_trailers() {
    let found = Outcome::parse(Some(b"5"), Some(b"no%20%C3%A9"), None);
    assert_eq!(found, Outcome { code: Some(5), message: "no é".into(), details: None });
    assert_eq!(found.http_status(), 404);
    assert_eq!(Outcome::parse(None, None, None).http_status(), 500);
    for text in [&b""[..], b"x", b"-1", b" 5", b"99999999999"] {
        assert_eq!(Outcome::parse(Some(text), None, None).http_status(), 503);
    }
}

/// The field `details` of google.rpc.Status.
fn details(list: &[Any]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::message::encode_repeated(3, list, &mut out);
    out
}

fn body(details: &[u8]) -> Value {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(details);
    let outcome = Outcome::parse(Some(b"9"), Some(b"why"), Some(text.as_bytes()));
    serde_json::from_slice(&outcome.json(descriptors().pool())).expect("JSON")
}

#[test]
fn details_are_decoded_where_their_type_is_known() {
    assert_eq!(body(b""), json!({"code": 9, "message": "why"}));
    let list = [
        Any { type_url: "type.googleapis.com/library.v1.Author".into(), value: b"\x0a\x01A".to_vec() },
        Any { type_url: "type.googleapis.com/un.Known".into(), value: b"\x01\x02".to_vec() },
        Any { type_url: "type.googleapis.com/library.v1.Author".into(), value: b"\xff".to_vec() },
        Any { type_url: "type.googleapis.com/google.protobuf.Duration".into(), value: b"\x08\x03".to_vec() },
    ];
    assert_eq!(
        body(&details(&list)),
        json!({"code": 9, "message": "why", "details": [
            {"@type": "type.googleapis.com/library.v1.Author", "firstName": "A"},
            {"@type": "type.googleapis.com/un.Known", "value": "AQI="},
            {"@type": "type.googleapis.com/library.v1.Author", "value": "/w=="},
            {"@type": "type.googleapis.com/google.protobuf.Duration", "value": "3s"},
        ]})
    );
}

#[test]
fn broken_details_are_left_out() {
    assert_eq!(body(b"\xff\xff"), json!({"code": 9, "message": "why"}));
    let outcome = Outcome::parse(Some(b"9"), None, Some(b"not base64!"));
    assert_eq!(outcome.details, None);
}

#[test]
fn our_own_errors_carry_the_http_status() {
    let body: Value = serde_json::from_slice(&error_body(401, "Jwt is missing")).expect("JSON");
    assert_eq!(body, json!({"code": 401, "message": "Jwt is missing"}));
}

#[test]
fn messages_are_percent_encoded() {
    assert_eq!(encode_message("a b~%\n\u{e9}"), b"a b~%25%0A%C3%A9");
    assert_eq!(decode_message(b"%zz%2%e9%"), "%zz%2\u{fffd}%");
}

proptest! {
    #[test]
    fn encoded_messages_are_printable_and_come_back(message in any::<String>()) {
        let encoded = encode_message(&message);
        prop_assert!(encoded.iter().all(|byte| (b' '..=b'~').contains(byte)));
        prop_assert_eq!(decode_message(&encoded), message);
    }

    #[test]
    fn any_trailers_give_a_body(status in proptest::collection::vec(any::<u8>(), 0..8), message in proptest::collection::vec(any::<u8>(), 0..30), bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let outcome = Outcome { details: Some(bytes), ..Outcome::parse(Some(&status), Some(&message), Some(&message)) };
        let body: Value = serde_json::from_slice(&outcome.json(descriptors().pool())).expect("JSON");
        prop_assert!(body["code"].is_u64());
    }
}
