//! `grpc.health.v1`, which every gateway can transcode whatever the operator's descriptors hold, and what a health check
//! means as an HTTP status.
//!
//! Load balancers read the HTTP status alone, so `/v1/health` answers 200 for SERVING and 503 for all else: another
//! status of the service, a gRPC error, a backend that is gone, or the gateway draining. The body says which.

use super::descriptors::{Files, Found};
use super::status;
use prost::Message;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    MessageOptions, MethodDescriptorProto, ServiceDescriptorProto,
};

pub const CHECK: &str = "grpc.health.v1.Health.Check";
const PACKAGE: &str = "grpc.health.v1";
const FILE: &str = "grpc/health/v1/health.proto";
const SERVING: i32 = 1;

/// The HTTP status of a health check whose call succeeded with this HealthCheckResponse: 200 for SERVING, else 503.
pub fn http_status(response: &[u8]) -> u16 {
    #[derive(Clone, PartialEq, Message)]
    struct HealthCheckResponse {
        #[prost(int32, tag = "1")]
        status: i32,
    }
    match HealthCheckResponse::decode(response) {
        Ok(HealthCheckResponse { status: SERVING }) => 200,
        _ => 503,
    }
}

/// The body of a health check whose call failed: `{"status": "UNKNOWN", "code": 14, "message": "..."}`, where NOT_FOUND is
/// SERVICE_UNKNOWN (the health protocol's word for a service that the server does not know).
pub fn error_body(grpc_status: u32, message: &str) -> Vec<u8> {
    let status = if grpc_status == status::NOT_FOUND { "SERVICE_UNKNOWN" } else { "UNKNOWN" };
    serde_json::json!({"status": status, "code": grpc_status, "message": message}).to_string().into_bytes()
}

/// The body of a health check that the gateway answers itself while it drains.
pub const DRAINING_BODY: &[u8] = b"{\"status\":\"NOT_SERVING\"}";

/// Adds the file unless some file has the package: a service of the operator's own is never mixed with ours.
pub(super) fn add_to(files: &mut Files) {
    if !files.values().any(|file| file.proto.package() == PACKAGE) && !files.contains_key(FILE) {
        files.insert(FILE.to_owned(), Found { proto: file(), set: None });
    }
}

fn file() -> FileDescriptorProto {
    let response = ".grpc.health.v1.HealthCheckResponse";
    FileDescriptorProto {
        name: Some(FILE.into()),
        package: Some(PACKAGE.into()),
        syntax: Some("proto3".into()),
        message_type: vec![
            message("HealthCheckRequest", vec![field("service", Type::String, None)]),
            DescriptorProto {
                enum_type: vec![serving_status()],
                ..message(
                    "HealthCheckResponse",
                    vec![field("status", Type::Enum, Some(".grpc.health.v1.HealthCheckResponse.ServingStatus"))],
                )
            },
            message("HealthListRequest", vec![]),
            DescriptorProto {
                nested_type: vec![DescriptorProto {
                    options: Some(MessageOptions { map_entry: Some(true), ..Default::default() }),
                    ..message(
                        "StatusesEntry",
                        vec![
                            field("key", Type::String, None),
                            FieldDescriptorProto { number: Some(2), ..field("value", Type::Message, Some(response)) },
                        ],
                    )
                }],
                ..message(
                    "HealthListResponse",
                    vec![FieldDescriptorProto {
                        label: Some(Label::Repeated.into()),
                        ..field("statuses", Type::Message, Some(".grpc.health.v1.HealthListResponse.StatusesEntry"))
                    }],
                )
            },
        ],
        service: vec![ServiceDescriptorProto {
            name: Some("Health".into()),
            method: vec![
                method("Check", "HealthCheckRequest", "HealthCheckResponse", false),
                method("List", "HealthListRequest", "HealthListResponse", false),
                method("Watch", "HealthCheckRequest", "HealthCheckResponse", true),
            ],
            options: None,
        }],
        ..Default::default()
    }
}

fn serving_status() -> EnumDescriptorProto {
    let names = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
    EnumDescriptorProto {
        name: Some("ServingStatus".into()),
        value: (0..)
            .zip(names)
            .map(|(number, name)| EnumValueDescriptorProto {
                name: Some(name.into()),
                number: Some(number),
                options: None,
            })
            .collect(),
        ..Default::default()
    }
}

fn message(name: &str, field: Vec<FieldDescriptorProto>) -> DescriptorProto {
    DescriptorProto { name: Some(name.into()), field, ..Default::default() }
}

fn field(name: &str, kind: Type, type_name: Option<&str>) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.into()),
        number: Some(1),
        label: Some(Label::Optional.into()),
        r#type: Some(kind.into()),
        type_name: type_name.map(Into::into),
        json_name: Some(name.into()),
        ..Default::default()
    }
}

fn method(name: &str, input: &str, output: &str, server_streaming: bool) -> MethodDescriptorProto {
    MethodDescriptorProto {
        name: Some(name.into()),
        input_type: Some(format!(".{PACKAGE}.{input}")),
        output_type: Some(format!(".{PACKAGE}.{output}")),
        server_streaming: Some(server_streaming),
        ..Default::default()
    }
}
