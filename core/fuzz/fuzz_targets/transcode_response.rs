//! Messages and trailers of a hostile backend as JSON. The input: a byte that chooses the binding, the message.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tidegate_datapath::transcode::frame::{MessageReader, frame};
use tidegate_datapath::transcode::status::{Outcome, decode_message, encode_message};
use tidegate_fuzz::choices::Choices;
use tidegate_fuzz::library::LIBRARY_API;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, message)) = input.split_first() else { return };
    let bound = &LIBRARY_API.bindings[usize::from(choice) % LIBRARY_API.bindings.len()];
    match bound.binding.response(message) {
        Ok((status, body)) => {
            assert!(status == 200 || bound.binding.is_health_check());
            serde_json::from_slice::<Value>(&body).expect("JSON");
        }
        Err(failure) => assert_eq!(failure.status, 500),
    }
    check_outcome(message);
    check_frames(message);
});

/// The same bytes as grpc-message and as grpc-status-details-bin.
fn check_outcome(text: &[u8]) {
    let code = [b'1', b'0' + text.len() as u8 % 7];
    let outcome = Outcome::parse(Some(&code), Some(text), Some(text));
    let body = outcome.json(LIBRARY_API.descriptors.pool());
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(body["message"].is_string() && body["code"].is_number());
    assert!((400..600).contains(&outcome.http_status()));
    let message = decode_message(text);
    let coded = encode_message(&message);
    assert!(coded.iter().all(|byte| (b' '..=b'~').contains(byte)), "not fit for a header");
    assert_eq!(decode_message(&coded), message);
}

/// DATA of a unary response: read in pieces as in one; what was framed is read again.
fn check_frames(data: &[u8]) {
    let limit = 1 << 16;
    let mut whole = MessageReader::new(limit);
    let whole = whole.push(data).and_then(|()| whole.finish());
    let mut pieces = MessageReader::new(limit);
    let mut start = 0;
    let mut result = Ok(());
    for end in Choices::of(data, 0).cuts(data.len()) {
        result = result.and_then(|()| pieces.push(&data[start..end]));
        assert!(pieces.buffered() <= end);
        start = end;
    }
    assert_eq!(whole, result.and_then(|()| pieces.finish()));
    let mut again = MessageReader::new(data.len());
    again.push(&frame(data).expect("short")).expect("our own frame");
    assert_eq!(again.finish().expect("our own frame"), data);
}
