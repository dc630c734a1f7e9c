//! JSON bodies and queries as gRPC messages. The input: a byte that chooses the binding, the query and the path's values
//! (a line each), the body.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prost_reflect::{DynamicMessage, ReflectMessage};
use std::borrow::Cow;
use tidegate_fuzz::json::names_are_unique;
use tidegate_fuzz::library::LIBRARY_API;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, rest)) = input.split_first() else { return };
    let bound = &LIBRARY_API.bindings[usize::from(choice) % LIBRARY_API.bindings.len()];
    let mut lines = rest.splitn(bound.variables + 2, |&byte| byte == b'\n');
    let query = lines.next().filter(|query| !query.is_empty());
    let captures: Vec<_> = (0..bound.variables).map(|_| Cow::Borrowed(lines.next().unwrap_or_default())).collect();
    let body = lines.next().unwrap_or_default();
    let framed = match bound.binding.request(&captures, query, body) {
        Ok(framed) => framed,
        Err(failure) => return assert!(failure.status == 400, "{failure:?}"),
    };
    assert!(framed.len() <= 64 + 64 * input.len(), "{} bytes out of {}", framed.len(), input.len());
    let (prefix, message) = framed.split_at(5);
    assert_eq!(prefix, [&[0][..], &(message.len() as u32).to_be_bytes()].concat());
    let message = DynamicMessage::decode(bound.method.input(), message).expect("what we write can be read");
    if bound.takes_whole_body && query.is_none() && captures.is_empty() && !body.trim_ascii().is_empty() {
        compare(&message, body);
    }
});

/// Another reader of JSON: where both take the body, they read the same. They differ on names that are there twice.
fn compare(message: &DynamicMessage, body: &[u8]) {
    if !names_are_unique(body) {
        return;
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let Ok(theirs) = DynamicMessage::deserialize(message.descriptor(), &mut json) else { return };
    let (ours, theirs) = (serde_json::to_string(message), serde_json::to_string(&theirs));
    let (Ok(ours), Ok(theirs)) = (ours, theirs) else { return };
    let ours: serde_json::Value = serde_json::from_str(&ours).expect("printed");
    let theirs: serde_json::Value = serde_json::from_str(&theirs).expect("printed");
    assert_eq!(ours, theirs, "read in another way");
}
