"""The descriptor set of the backend's services, with the rule that binds `GET /v1/health`."""

from __future__ import annotations

from pathlib import Path

from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2

HEALTH_PATH = "/v1/health"

# google/api/annotations.proto: `extend google.protobuf.MethodOptions { HttpRule http = 72295728; }`, and
# google/api/http.proto: `string get = 2;` of HttpRule. Written as bytes, so that those files are not needed here.
HTTP_EXTENSION = 72295728
GET_FIELD = 2
LENGTH_DELIMITED = 2

FieldType = descriptor_pb2.FieldDescriptorProto


def write(path: Path) -> Path:
    files = descriptor_pb2.FileDescriptorSet()
    health_pb2.DESCRIPTOR.CopyToProto(files.file.add())
    for method in files.file[0].service[0].method:
        if method.name == "Check":
            rule = _field(GET_FIELD, HEALTH_PATH.encode())
            method.options.MergeFromString(_field(HTTP_EXTENSION, rule))
    _echo(files.file.add())
    path.write_bytes(files.SerializeToString())
    return path


def _echo(file: descriptor_pb2.FileDescriptorProto) -> None:
    file.name, file.package, file.syntax = "api/echo.proto", "api", "proto3"
    _message(file, "EchoMessage", [("content", FieldType.TYPE_STRING)])
    _message(file, "FeedRequest", [("messages", FieldType.TYPE_UINT32), ("bytes", FieldType.TYPE_UINT32)])
    _message(file, "FeedMessage", [("content", FieldType.TYPE_BYTES)])
    service = file.service.add(name="Echo")
    service.method.add(name="Echo", input_type=".api.EchoMessage", output_type=".api.EchoMessage")
    service.method.add(
        name="Feed", input_type=".api.FeedRequest", output_type=".api.FeedMessage", server_streaming=True
    )


def _message(
    file: descriptor_pb2.FileDescriptorProto, name: str, fields: list[tuple[str, FieldType.Type.ValueType]]
) -> None:
    message = file.message_type.add(name=name)
    for number, (field, kind) in enumerate(fields, start=1):
        message.field.add(name=field, number=number, type=kind, label=FieldType.LABEL_OPTIONAL, json_name=field)


def _field(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | LENGTH_DELIMITED) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
