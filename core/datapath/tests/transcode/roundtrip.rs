//! Random messages through both directions, with prost-reflect's own JSON as the judge.

use crate::library::{bind, descriptors};
use proptest::prelude::*;
use prost::Message;
use prost_reflect::{DynamicMessage, ReflectMessage};
use serde_json::{Map, Value, json};

const ECHO: &str = "library.v1.Library.Echo";
const NAME: &str = "library.v1.Everything";

fn integers() -> impl Strategy<Value = Value> {
    prop_oneof![any::<i32>().prop_map(|n| json!(n)), any::<i32>().prop_map(|n| json!(n.to_string()))]
}

fn longs() -> impl Strategy<Value = Value> {
    prop_oneof![any::<i64>().prop_map(|n| json!(n)), any::<i64>().prop_map(|n| json!(n.to_string()))]
}

fn author() -> impl Strategy<Value = Value> {
    ("[a-zé\"\\\\]{0,6}", any::<bool>()).prop_map(|(name, mentor)| match mentor {
        true => json!({"firstName": name, "mentor": {"last_name": "x"}}),
        false => json!({"first_name": name}),
    })
}

fn free() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-1e9f64..1e9).prop_map(|n| json!(n)),
        "[a-z]{0,4}".prop_map(Value::String),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            proptest::collection::hash_map("[a-z]{1,3}", inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// One field of the message, as some client would write it.
fn field() -> impl Strategy<Value = (String, Value)> {
    let object = || {
        proptest::collection::hash_map("[a-z]{1,3}", free(), 0..3)
            .prop_map(|map| Value::Object(map.into_iter().collect()))
    };
    let value = prop_oneof![
        ("int32_value|sint32Value|sfixed32_value|right|maybe", integers()).boxed(),
        ("int64_value|sint64Value|sfixed64_value|wrappedInt", longs()).boxed(),
        ("uint32Value|fixed32_value", any::<u32>().prop_map(|n| json!(n))).boxed(),
        ("uint64Value|fixed64_value", any::<u64>().prop_map(|n| json!(n.to_string()))).boxed(),
        ("doubleValue", any::<i32>().prop_map(|n| json!(f64::from(n) / 8.0))).boxed(),
        ("floatValue", any::<i16>().prop_map(|n| json!(f32::from(n) / 4.0))).boxed(),
        ("bool_value|wrappedBool", any::<bool>().prop_map(Value::Bool)).boxed(),
        ("string_value|left|wrapped_string", ".{0,8}".prop_map(Value::String)).boxed(),
        ("bytesValue|wrapped_bytes", "([A-Za-z0-9]{4}){0,3}".prop_map(Value::String)).boxed(),
        ("genre", prop_oneof![Just(json!("CRIME")), Just(json!(2)), Just(json!(99)), Just(Value::Null)]).boxed(),
        ("numbers", proptest::collection::vec(integers(), 0..4).prop_map(Value::Array)).boxed(),
        ("words", proptest::collection::vec("[a-z]{0,3}".prop_map(Value::String), 0..4).prop_map(Value::Array)).boxed(),
        ("people", proptest::collection::vec(author(), 0..3).prop_map(Value::Array)).boxed(),
        ("person", author()).boxed(),
        (
            "counts",
            proptest::collection::hash_map("[a-z]{1,3}", longs(), 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect()))
        )
            .boxed(),
        (
            "by_id",
            proptest::collection::hash_map(any::<i32>().prop_map(|n| n.to_string()), author(), 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect()))
        )
            .boxed(),
        ("byFlag", Just(json!({"true": "a", "false": ""}))).boxed(),
        ("time", Just(json!("2024-02-29T12:00:00.123456789Z"))).boxed(),
        ("duration", Just(json!("-3.000000001s"))).boxed(),
        ("mask", Just(json!("a,bC.d"))).boxed(),
        ("object", object()).boxed(),
        ("value", free()).boxed(),
        ("list", proptest::collection::vec(free(), 0..3).prop_map(Value::Array)).boxed(),
        ("any", Just(json!({"@type": "type.googleapis.com/library.v1.Author", "firstName": "x"}))).boxed(),
        ("nothing|empty|child", Just(Value::Null)).boxed(),
        ("empty", Just(json!({}))).boxed(),
        ("times", Just(json!(["1970-01-01T00:00:00Z", "2000-01-01T00:00:00+01:00"]))).boxed(),
    ];
    value
}

fn everything() -> impl Strategy<Value = Value> {
    let message = proptest::collection::vec(field(), 0..6).prop_map(|fields| {
        let mut map = Map::new();
        for (name, value) in fields {
            // One field of a oneof, and one spelling of a name.
            let choice = ["left", "right", "person"];
            let taken = choice.contains(&name.as_str()) && choice.iter().any(|other| map.contains_key(*other));
            let spelt = |other: &String| other.replace('_', "").eq_ignore_ascii_case(&name.replace('_', ""));
            if !taken && !map.keys().any(spelt) {
                map.insert(name, value);
            }
        }
        Value::Object(map)
    });
    message.prop_recursive(3, 8, 1, |inner| inner.prop_map(|child| json!({"child": child, "int32Value": 1})))
}

/// Without the difference between an empty field and one that is not there, which the wire does not have.
fn canonical(message: &DynamicMessage) -> DynamicMessage {
    DynamicMessage::decode(message.descriptor(), message.encode_to_vec().as_slice()).expect("valid")
}

proptest! {
    #[test]
    fn a_body_means_what_the_reference_reads(body in everything()) {
        let descriptor = descriptors().pool().get_message_by_name(NAME).expect(NAME);
        let expected = DynamicMessage::deserialize(descriptor, body.clone()).expect("valid JSON");
        let bound = bind(ECHO, "/v1/echo", "*", "");
        let found = bound.request_message("/v1/echo", body.to_string().as_bytes()).expect("valid JSON");
        prop_assert_eq!(serde_json::to_value(&found).expect("JSON"), serde_json::to_value(&expected).expect("JSON"));
        // Not assert_eq: descriptors that hold themselves cannot be printed.
        prop_assert!(canonical(&found) == canonical(&expected), "presence differs");
    }

    #[test]
    fn what_a_response_prints_is_read_back_as_a_request(body in everything()) {
        let bound = bind(ECHO, "/v1/echo", "*", "");
        let message = bound.request_message("/v1/echo", body.to_string().as_bytes()).expect("valid JSON");
        let (status, printed) = bound.binding.response(&message.encode_to_vec()).expect("printable");
        prop_assert_eq!(status, 200);
        let again = bound.request_message("/v1/echo", &printed).expect("our own JSON");
        prop_assert!(canonical(&again) == canonical(&message), "{}", String::from_utf8_lossy(&printed));
    }
}
