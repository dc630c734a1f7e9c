//! One HTTP binding of a unary method, compiled: what of a request goes where, and how the response is written.
//!
//! The request message is the body, then the query parameters, then the path's variables, each encoded on its own (see
//! `fields`): what is bound later wins. The path is what was routed and authenticated, so nothing may override
//! it: a query parameter that names a field of the path is refused, and a body's value for one is replaced. ESP lets
//! the query, and the body, win there.

use super::fields::{FieldPath, FieldPathError, find};
use super::json::{FieldSeed, MessageSeed};
use super::status::{self, Outcome};
use super::{frame, health, query, response, wellknown};
use crate::route::template::Template;
use prost_reflect::{FieldDescriptor, MessageDescriptor, MethodDescriptor};
use serde::de::DeserializeSeed;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A request or response that cannot be transcoded: the HTTP status and the message for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub status: u16,
    pub message: String,
}

impl Failure {
    fn bad_request(message: impl Into<String>) -> Failure {
        Failure { status: 400, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

pub struct Binding {
    input: MessageDescriptor,
    variables: Vec<FieldPath>,
    body: Body,
    response: response::Form,
    health: bool,
    ignored: Arc<[Box<str>]>,
}

enum Body {
    None,
    Whole,
    Field(FieldDescriptor),
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding").field("input", &self.input.full_name()).field("variables", &self.variables).finish()
    }
}

/// What is wrong with a binding: the key of the document's binding, and a message.
pub type Fault = (&'static str, String);

impl Binding {
    /// `body` and `response_body` as in google.api.http; `ignored` are query parameters that are not for the backend
    /// (tokens, API keys), passed over unless the message has a field of the name.
    pub fn compile(
        method: &MethodDescriptor,
        template: &Template,
        body: &str,
        response_body: &str,
        ignored: Arc<[Box<str>]>,
    ) -> Result<Binding, Vec<Fault>> {
        let mut faults: Vec<Fault> = Vec::new();
        if method.is_client_streaming() || method.is_server_streaming() {
            let name = method.full_name();
            faults.push(("template", format!("`{name}` is a streaming method: only unary ones have HTTP bindings")));
        }
        let input = method.input();
        let object = wellknown::form(&input) == wellknown::Form::Object;
        if !object && (body != "*" || !template.variables.is_empty()) {
            let name = input.full_name();
            faults
                .push(("body", format!("the request message `{name}` has a JSON form of its own: only `*` binds it")));
        }
        let mut variables = Vec::new();
        for variable in &template.variables {
            match FieldPath::resolve(&input, &variable.field) {
                Ok(path) if path.is_repeated() => {
                    faults.push(("template", format!("`{}` is repeated: a path binds one value", variable.field)));
                }
                Ok(path) => variables.push(path),
                Err(error) => faults.push(("template", error.message().to_owned())),
            }
        }
        let body = match body {
            "" => Body::None,
            "*" => Body::Whole,
            name => match find(&input, name) {
                Some(field) => Body::Field(field),
                None => {
                    faults.push(("body", format!("`{}` has no field `{name}`", input.full_name())));
                    Body::None
                }
            },
        };
        let health = method.full_name() == health::CHECK;
        let response = match response::Form::compile(&method.output(), response_body, health) {
            Ok(response) => Some(response),
            Err(message) => {
                faults.push(("response_body", message));
                None
            }
        };
        match response {
            Some(response) if faults.is_empty() => Ok(Binding { input, variables, body, response, health, ignored }),
            _ => Err(faults),
        }
    }

    /// Whether the answer is a health check's: see [`health`].
    pub fn is_health_check(&self) -> bool {
        self.health
    }

    /// Whether the request's body is read.
    pub fn takes_body(&self) -> bool {
        !matches!(self.body, Body::None)
    }

    /// The gRPC message, with its prefix, for the values of the template's variables (in its order), the query and the
    /// whole body. An empty body is an absent one.
    pub fn request(&self, captures: &[Cow<'_, [u8]>], query: Option<&[u8]>, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::with_capacity(64 + body.len());
        let start = frame::begin(&mut out);
        self.read_body(body, &mut out)?;
        if let Some(query) = query {
            self.read_query(query, &mut out)?;
        }
        for (field, value) in self.variables.iter().zip(captures) {
            let text = std::str::from_utf8(value)
                .map_err(|_| Failure::bad_request(format!("the path's `{}` is not UTF-8", field.name())))?;
            field
                .encode(text, &mut out)
                .map_err(|error| Failure::bad_request(format!("the path's `{}`: {error}", field.name())))?;
        }
        if !frame::finish(&mut out, start) {
            return Err(Failure { status: 413, message: "the request message is over 4 GiB".into() });
        }
        Ok(out)
    }

    /// The body for a response message (without its prefix), and the HTTP status.
    pub fn response(&self, message: &[u8]) -> Result<(u16, Vec<u8>), Failure> {
        let http_status = if self.health { health::http_status(message) } else { 200 };
        match self.response.render(message) {
            Ok(body) => Ok((http_status, body)),
            Err(_) if self.health => Ok((503, health::error_body(status::INTERNAL, "no valid health status"))),
            Err(message) => Err(Failure { status: 500, message }),
        }
    }

    /// The HTTP status and body for a call that ended with an error of the backend's.
    pub fn error(&self, outcome: &Outcome) -> (u16, Vec<u8>) {
        if self.health {
            return (503, health::error_body(outcome.code.unwrap_or(status::UNKNOWN), &outcome.message));
        }
        (outcome.http_status(), outcome.json(self.input.parent_pool()))
    }

    /// The HTTP status and body for an error that the gateway makes. A health check that got no answer (5xx) is a failed
    /// one; refusals (4xx) are the same for every binding.
    pub fn gateway_error(&self, status: u16, message: &str) -> (u16, Vec<u8>) {
        if self.health && status >= 500 {
            return (503, health::error_body(status::grpc_from_http(status), message));
        }
        (status, status::error_body(status, message))
    }

    fn read_body(&self, body: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        if matches!(self.body, Body::None) || body.trim_ascii().is_empty() {
            return Ok(());
        }
        let mut json = serde_json::Deserializer::from_slice(body);
        let read = match &self.body {
            Body::None => Ok(()),
            Body::Whole => MessageSeed { message: &self.input, out }.deserialize(&mut json),
            Body::Field(field) => FieldSeed { field, out }.deserialize(&mut json),
        };
        read.and_then(|()| json.end()).map_err(|error| Failure::bad_request(format!("invalid JSON: {error}")))
    }

    fn read_query(&self, query: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        for (count, (name, value)) in query::parameters(query).enumerate() {
            if count >= query::MAX_PARAMETERS {
                let message = format!("more than {} query parameters", query::MAX_PARAMETERS);
                return Err(Failure::bad_request(message));
            }
            let shown = shorten(&name);
            let name = std::str::from_utf8(&name)
                .map_err(|_| Failure::bad_request(format!("the query parameter `{shown}` is not UTF-8")))?;
            let field = match FieldPath::resolve(&self.input, name) {
                Ok(field) => field,
                Err(_) if self.ignored.iter().any(|ignored| **ignored == *name) => continue,
                Err(FieldPathError::Unknown(_)) => {
                    return Err(Failure::bad_request(format!("unknown query parameter `{shown}`")));
                }
                Err(FieldPathError::Unfit(error)) => {
                    return Err(Failure::bad_request(format!("the query parameter `{shown}`: {error}")));
                }
            };
            if self.variables.iter().any(|variable| variable.same_field(&field)) {
                return Err(Failure::bad_request(format!("the query parameter `{shown}` is given by the path")));
            }
            let text = std::str::from_utf8(&value)
                .map_err(|_| Failure::bad_request(format!("the query parameter `{shown}` is not UTF-8")))?;
            field
                .encode(text, out)
                .map_err(|error| Failure::bad_request(format!("the query parameter `{shown}`: {error}")))?;
        }
        Ok(())
    }
}

/// A client's text for an error message.
fn shorten(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(100).collect()
}
