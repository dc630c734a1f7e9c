use crate::library::{bind, descriptors};
use proptest::prelude::*;
use prost::Message;
use prost_reflect::prost_types::Any;
use prost_reflect::{DynamicMessage, MessageDescriptor};
use serde_json::{Value, json};
use tidegate_datapath::transcode::binding::Failure;
use tidegate_datapath::transcode::health;
use tidegate_datapath::transcode::status::Outcome;

const ECHO: &str = "library.v1.Library.Echo";

fn message(name: &str, json: Value) -> Vec<u8> {
    let descriptor: MessageDescriptor = descriptors().pool().get_message_by_name(name).expect(name);
    DynamicMessage::deserialize(descriptor, json).expect("valid").encode_to_vec()
}

fn printed(method: &str, response_body: &str, message: &[u8]) -> Result<String, Failure> {
    let (status, body) = bind(method, "/x", "*", response_body).binding.response(message)?;
    assert_eq!(status, 200);
    Ok(String::from_utf8(body).expect("UTF-8"))
}

#[test]
fn a_message_prints_as_proto3_json() {
    let bytes = message("library.v1.Book", json!({"title": "T", "pages": 5, "genre": 1, "author": {"firstName": "A"}}));
    let expected = r#"{"title":"T","author":{"firstName":"A"},"genre":"CRIME","pages":"5"}"#;
    assert_eq!(printed("library.v1.Library.GetBook", "", &bytes).as_deref(), Ok(expected));
    assert_eq!(printed("library.v1.Library.GetBook", "", b"").as_deref(), Ok("{}"));
}

#[test]
fn one_field_can_be_the_body() {
    let bytes = message(
        "library.v1.Everything",
        json!({"stringValue": "a\"b", "numbers": [1, 2], "child": {"left": "x"}, "time": "1970-01-01T00:00:01Z", "int64Value": 3}),
    );
    for (field, expected, default) in [
        ("string_value", r#""a\"b""#, r#""""#),
        ("stringValue", r#""a\"b""#, r#""""#),
        ("numbers", "[1,2]", "[]"),
        ("child", r#"{"left":"x"}"#, "{}"),
        ("time", r#""1970-01-01T00:00:01Z""#, "null"),
        ("int64_value", r#""3""#, r#""0""#),
    ] {
        assert_eq!(printed(ECHO, field, &bytes).as_deref(), Ok(expected), "{field}");
        assert_eq!(printed(ECHO, field, b"").as_deref(), Ok(default), "{field}");
    }
    for (field, default) in
        [("bool_value", "false"), ("genre", "\"GENRE_UNSPECIFIED\""), ("counts", "{}"), ("int32_value", "0")]
    {
        assert_eq!(printed(ECHO, field, b"").as_deref(), Ok(default), "{field}");
    }
}

#[test]
fn garbage_from_the_backend_is_a_500() {
    for bytes in [&b"\xff\xff"[..], b"\x0a\x05a", b"\x72\x02\xff\xfe"] {
        let failure = printed(ECHO, "", bytes).expect_err("garbage");
        assert_eq!(failure.status, 500);
        assert!(failure.message.starts_with("the backend's message"), "{failure}");
    }
}

fn nested_any(depth: usize) -> Vec<u8> {
    let mut value = Vec::new();
    for _ in 0..depth {
        value = Any { type_url: "a/google.protobuf.Any".into(), value }.encode_to_vec();
    }
    let mut field = Vec::new();
    prost::encoding::bytes::encode(35, &value, &mut field);
    field
}

#[test]
fn nested_anys_cannot_exhaust_the_stack() {
    let failure = printed(ECHO, "", &nested_any(20_000)).expect_err("too deep");
    assert!(failure.message.contains("nested"), "{failure}");
    assert!(
        printed(
            ECHO,
            "",
            &message("library.v1.Everything", json!({"any": {"@type": "a/library.v1.Author", "firstName": "x"}}))
        )
        .is_ok()
    );
}

#[test]
fn an_any_of_an_unknown_type_is_a_500() {
    let any = Any { type_url: "a/un.Known".into(), value: vec![1] }.encode_to_vec();
    let mut field = Vec::new();
    prost::encoding::bytes::encode(35, &any, &mut field);
    assert!(printed(ECHO, "", &field).is_err_and(|failure| failure.message.contains("un.Known")));
}

#[test]
fn a_health_check_answers_200_for_serving_alone() {
    let bound = bind(health::CHECK, "/v1/health", "", "");
    assert!(bound.binding.is_health_check());
    for (bytes, status, body) in [
        (&b"\x08\x01"[..], 200, r#"{"status":"SERVING"}"#),
        (b"", 503, r#"{"status":"UNKNOWN"}"#),
        (b"\x08\x00", 503, r#"{"status":"UNKNOWN"}"#),
        (b"\x08\x02", 503, r#"{"status":"NOT_SERVING"}"#),
        (b"\x08\x03", 503, r#"{"status":"SERVICE_UNKNOWN"}"#),
        (b"\x08\x63", 503, r#"{"status":99}"#),
        (b"\xff", 503, r#"{"code":13,"message":"no valid health status","status":"UNKNOWN"}"#),
    ] {
        let found = bound.binding.response(bytes).expect("always an answer");
        assert_eq!((found.0, String::from_utf8_lossy(&found.1).as_ref()), (status, body));
    }
    assert_eq!(bound.request("/v1/health?service=a.B", ""), Ok(json!({"service": "a.B"})));
}

fn parsed((status, body): (u16, Vec<u8>)) -> (u16, Value) {
    (status, serde_json::from_slice(&body).expect("JSON"))
}

#[test]
fn a_failed_health_check_is_a_503_and_says_why() {
    let health = bind(health::CHECK, "/v1/health", "", "").binding;
    let outcome = |status: &[u8]| Outcome::parse(Some(status), Some(b"why"), None);
    let unknown = json!({"status": "UNKNOWN", "code": 7, "message": "why"});
    assert_eq!(parsed(health.error(&outcome(b"7"))), (503, unknown));
    let missing = json!({"status": "SERVICE_UNKNOWN", "code": 5, "message": "why"});
    assert_eq!(parsed(health.error(&outcome(b"5"))), (503, missing));
    assert_eq!(health.error(&outcome(b"x")).0, 503);
    let late = json!({"status": "UNKNOWN", "code": 4, "message": "late"});
    assert_eq!(parsed(health.gateway_error(504, "late")), (503, late));
    assert_eq!(parsed(health.gateway_error(401, "who?")), (401, json!({"code": 401, "message": "who?"})));
}

#[test]
fn other_errors_keep_their_status() {
    let echo = bind(ECHO, "/x", "*", "").binding;
    let outcome = Outcome::parse(Some(b"5"), Some(b"why"), None);
    assert_eq!(parsed(echo.error(&outcome)), (404, json!({"code": 5, "message": "why"})));
    assert_eq!(parsed(echo.gateway_error(504, "late")), (504, json!({"code": 504, "message": "late"})));
}

proptest! {
    #[test]
    fn any_bytes_print_or_are_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60), tag in 1u32..43) {
        let bound = bind(ECHO, "/x", "*", "");
        let _ = bound.binding.response(&bytes);
        let mut field = Vec::new();
        prost::encoding::bytes::encode(tag, &bytes, &mut field);
        let _ = bound.binding.response(&field);
    }
}
