//! A gRPC message as JSON, by the proto3 mapping: lowerCamel names, 64-bit integers as strings, bytes as base64, fields
//! with default values left out as in ESP, except where a method says otherwise (a health check prints UNKNOWN).

use super::any;
use super::fields::find;
use super::wellknown;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, SerializeOptions};
use serde_json::json;

/// How the response messages of one binding are written.
pub struct Form {
    message: MessageDescriptor,
    /// The only field to print.
    field: Option<FieldDescriptor>,
    options: SerializeOptions,
    holds_any: bool,
}

impl Form {
    /// `response_body`: "" for the whole message, else one of its fields. `print_defaults`: also fields whose value is
    /// the default.
    pub fn compile(message: &MessageDescriptor, response_body: &str, print_defaults: bool) -> Result<Form, String> {
        let field = match response_body {
            "" => None,
            name if wellknown::form(message) == wellknown::Form::Object => match find(message, name) {
                Some(field) => Some(field),
                None => return Err(format!("`{}` has no field `{name}`", message.full_name())),
            },
            _ => return Err(format!("`{}` has a JSON form of its own, without fields", message.full_name())),
        };
        Ok(Form {
            message: message.clone(),
            field,
            options: SerializeOptions::new().skip_default_fields(!print_defaults),
            holds_any: any::reachable(message),
        })
    }

    /// The JSON of a serialized message. The error says what is wrong with the message.
    pub fn render(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let mut message = DynamicMessage::decode(self.message.clone(), message)
            .map_err(|error| format!("the backend's message is not a `{}`: {error}", self.message.full_name()))?;
        if self.holds_any {
            any::check(&message).map_err(|error| format!("the backend's message cannot be printed: {error}"))?;
        }
        let Some(field) = &self.field else { return self.print(&message) };
        let mut only = DynamicMessage::new(self.message.clone());
        match message.take_field(field) {
            Some(value) => only.set_field(field, value),
            None => return Ok(default_json(field)),
        }
        // `{"name":VALUE}`, or `{}` for a default value that is not printed.
        let object = self.print(&only)?;
        let name = serde_json::to_string(field.json_name()).map_err(|error| error.to_string())?;
        let value = object
            .strip_prefix(format!("{{{name}:").as_bytes())
            .and_then(|rest| rest.strip_suffix(b"}"))
            .map(<[u8]>::to_vec);
        Ok(value.unwrap_or_else(|| default_json(field)))
    }

    fn print(&self, message: &DynamicMessage) -> Result<Vec<u8>, String> {
        let mut out = serde_json::Serializer::new(Vec::with_capacity(128));
        message
            .serialize_with_options(&mut out, &self.options)
            .map_err(|error| format!("the backend's message cannot be printed: {error}"))?;
        Ok(out.into_inner())
    }
}

/// What stands for a field that is not set, where it is all there is to print.
fn default_json(field: &FieldDescriptor) -> Vec<u8> {
    let value = match field.kind() {
        _ if field.is_list() => json!([]),
        _ if field.is_map() => json!({}),
        Kind::Message(message) if wellknown::form(&message) == wellknown::Form::Object => json!({}),
        Kind::Message(_) => json!(null),
        Kind::String | Kind::Bytes => json!(""),
        Kind::Bool => json!(false),
        Kind::Enum(kind) => json!(kind.default_value().name()),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 | Kind::Uint64 | Kind::Fixed64 => json!("0"),
        Kind::Double | Kind::Float => json!(0.0),
        _ => json!(0),
    };
    value.to_string().into_bytes()
}
