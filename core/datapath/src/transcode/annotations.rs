//! What a descriptor set says about its services, for the configuration: methods, types and google.api.http annotations.
//!
//! The annotations are read from the options' bytes by the extension's number, so a set needs not hold
//! `google/api/annotations.proto`.

use prost::Message;
use serde::Serialize;

/// The services of a serialized FileDescriptorSet as JSON, in the form of the binding's `describe_descriptors`.
pub fn describe(data: &[u8]) -> Result<String, String> {
    let set = FileSet::decode(data).map_err(|error| format!("not a FileDescriptorSet: {error}"))?;
    if set.file.is_empty() {
        return Err("not a FileDescriptorSet: it holds no file".into());
    }
    let mut services = Vec::new();
    for file in &set.file {
        for service in &file.service {
            let name = match file.package.as_str() {
                "" => service.name.clone(),
                package => format!("{package}.{}", service.name),
            };
            services.push(ServiceFacts { name, methods: service.method.iter().map(method_facts).collect() });
        }
    }
    serde_json::to_string(&Facts { services }).map_err(|error| error.to_string())
}

fn method_facts(method: &MethodProto) -> MethodFacts<'_> {
    let rule = method.options.as_ref().and_then(|options| options.http.as_ref());
    let mut http = Vec::new();
    if let Some(rule) = rule {
        http.extend(binding_facts(rule));
        http.extend(rule.additional_bindings.iter().filter_map(binding_facts));
    }
    MethodFacts {
        name: &method.name,
        client_streaming: method.client_streaming,
        server_streaming: method.server_streaming,
        input: method.input_type.strip_prefix('.').unwrap_or(&method.input_type),
        output: method.output_type.strip_prefix('.').unwrap_or(&method.output_type),
        http,
    }
}

fn binding_facts(rule: &HttpRule) -> Option<BindingFacts<'_>> {
    let (verb, template) = match rule.pattern.as_ref()? {
        Pattern::Get(template) => ("GET", template),
        Pattern::Put(template) => ("PUT", template),
        Pattern::Post(template) => ("POST", template),
        Pattern::Delete(template) => ("DELETE", template),
        Pattern::Patch(template) => ("PATCH", template),
        Pattern::Custom(custom) => (custom.kind.as_str(), &custom.path),
    };
    Some(BindingFacts { verb, template, body: &rule.body, response_body: &rule.response_body })
}

#[derive(Serialize)]
struct Facts<'a> {
    services: Vec<ServiceFacts<'a>>,
}

#[derive(Serialize)]
struct ServiceFacts<'a> {
    name: String,
    methods: Vec<MethodFacts<'a>>,
}

#[derive(Serialize)]
struct MethodFacts<'a> {
    name: &'a str,
    client_streaming: bool,
    server_streaming: bool,
    input: &'a str,
    output: &'a str,
    http: Vec<BindingFacts<'a>>,
}

#[derive(Serialize)]
struct BindingFacts<'a> {
    verb: &'a str,
    template: &'a str,
    body: &'a str,
    response_body: &'a str,
}

// The parts of google/protobuf/descriptor.proto and google/api/http.proto that are read here, by field number.

#[derive(Clone, PartialEq, Message)]
struct FileSet {
    #[prost(message, repeated, tag = "1")]
    file: Vec<FileProto>,
}

#[derive(Clone, PartialEq, Message)]
struct FileProto {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    service: Vec<ServiceProto>,
}

#[derive(Clone, PartialEq, Message)]
struct ServiceProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    method: Vec<MethodProto>,
}

#[derive(Clone, PartialEq, Message)]
struct MethodProto {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    input_type: String,
    #[prost(string, tag = "3")]
    output_type: String,
    #[prost(message, optional, tag = "4")]
    options: Option<MethodOptions>,
    #[prost(bool, tag = "5")]
    client_streaming: bool,
    #[prost(bool, tag = "6")]
    server_streaming: bool,
}

#[derive(Clone, PartialEq, Message)]
struct MethodOptions {
    /// The extension `google.api.http`.
    #[prost(message, optional, tag = "72295728")]
    http: Option<HttpRule>,
}

#[derive(Clone, PartialEq, Message)]
struct HttpRule {
    #[prost(oneof = "Pattern", tags = "2, 3, 4, 5, 6, 8")]
    pattern: Option<Pattern>,
    #[prost(string, tag = "7")]
    body: String,
    #[prost(message, repeated, tag = "11")]
    additional_bindings: Vec<HttpRule>,
    #[prost(string, tag = "12")]
    response_body: String,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Pattern {
    #[prost(string, tag = "2")]
    Get(String),
    #[prost(string, tag = "3")]
    Put(String),
    #[prost(string, tag = "4")]
    Post(String),
    #[prost(string, tag = "5")]
    Delete(String),
    #[prost(string, tag = "6")]
    Patch(String),
    #[prost(message, tag = "8")]
    Custom(CustomPattern),
}

#[derive(Clone, PartialEq, Message)]
struct CustomPattern {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    path: String,
}
