//! `google.protobuf.Any`, whose content names its own type.
//!
//! Every Any starts a new message, so the parser's limit on nesting starts anew within each: a message of a few kilobytes
//! could nest thousands of them and exhaust the stack of whoever prints it. [`check`] refuses that first.

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, MessageDescriptor, Value};
use std::collections::HashSet;

/// Anys within Anys, in messages that are printed.
const MAX_NESTED: usize = 8;

const NAME: &str = "google.protobuf.Any";

/// Whether messages of the type can hold an Any somewhere.
pub(super) fn reachable(message: &MessageDescriptor) -> bool {
    let mut seen = HashSet::new();
    let mut left = vec![message.clone()];
    while let Some(message) = left.pop() {
        if message.full_name() == NAME {
            return true;
        }
        if seen.insert(message.full_name().to_owned()) {
            let kinds = message.fields().map(|field| field.kind()).collect::<Vec<_>>();
            let extensions = message.extensions().map(|field| field.kind()).collect::<Vec<_>>();
            left.extend(kinds.iter().chain(&extensions).filter_map(Kind::as_message).cloned());
        }
    }
    false
}

/// Refuses a message whose Anys nest too deep to be printed.
pub(super) fn check(message: &DynamicMessage) -> Result<(), String> {
    check_message(message, MAX_NESTED)
}

fn check_message(message: &DynamicMessage, left: usize) -> Result<(), String> {
    let descriptor = prost_reflect::ReflectMessage::descriptor(message);
    if descriptor.full_name() == NAME {
        let Some(left) = left.checked_sub(1) else {
            return Err(format!("more than {MAX_NESTED} nested values of {NAME}"));
        };
        return match content(descriptor.parent_pool(), &parts(message)) {
            Some(content) if reachable(&prost_reflect::ReflectMessage::descriptor(&content)) => {
                check_message(&content, left)
            }
            _ => Ok(()),
        };
    }
    message.fields().try_for_each(|(_, value)| check_value(value, left))?;
    message.extensions().try_for_each(|(_, value)| check_value(value, left))
}

fn check_value(value: &Value, left: usize) -> Result<(), String> {
    match value {
        Value::Message(message) => check_message(message, left),
        Value::List(values) => values.iter().try_for_each(|value| check_value(value, left)),
        Value::Map(values) => values.values().try_for_each(|value| check_value(value, left)),
        _ => Ok(()),
    }
}

/// The wire form, without a descriptor.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RawAny {
    #[prost(string, tag = "1")]
    pub(super) type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

fn parts(any: &DynamicMessage) -> RawAny {
    any.transcode_to().unwrap_or_default()
}

/// The message within, where its type is known and its bytes are valid.
pub(super) fn content(pool: &DescriptorPool, any: &RawAny) -> Option<DynamicMessage> {
    let name = any.type_url.rsplit_once('/').map_or(any.type_url.as_str(), |(_, name)| name);
    DynamicMessage::decode(pool.get_message_by_name(name)?, any.value.as_slice()).ok()
}
