"""What the core serves during a soak."""

from __future__ import annotations

import base64
from typing import Any

from google.protobuf import descriptor_pb2

from tests.support.backends import SERVICE

BACKEND = "app"
LISTENER = "main"
ECHO_PATH = "/v1/echo"
HEALTH_PATH = "/v1/health"


def snapshot(version: str, endpoints: list[str], **changes: Any) -> dict[str, Any]:
    """`changes` replace limits. Whoever is silent is cut off within seconds, so that a soak sees it happen."""
    limits = {
        "header_timeout_ms": 2000,
        "body_timeout_ms": 2000,
        "idle_timeout_ms": 4000,
        "keepalive_time_ms": 1000,
        "keepalive_timeout_ms": 1000,
        "transcoded_timeout_ms": 5000,
    }
    backend = {
        "name": BACKEND,
        "endpoints": [{"address": address} for address in endpoints],
        "connect_timeout_ms": 1000,
        "max_connections": 4,
        "retry": {"attempts": 2, "on": ["connect-failure", "refused-stream", "reset"]},
    }
    bindings = [
        {"verb": "POST", "template": ECHO_PATH, "body": "*"},
        {"verb": "GET", "template": f"{ECHO_PATH}/{{content}}"},
    ]
    return {
        "version": version,
        "listeners": [{"name": LISTENER, "address": "127.0.0.1:0"}],
        "backends": [backend],
        "routes": [{"name": "all", "backends": [{"name": BACKEND}]}],
        "methods": [
            {"name": f"{SERVICE}.Unary", "bindings": bindings},
            {"name": "grpc.health.v1.Health.Check", "bindings": [{"verb": "GET", "template": HEALTH_PATH}]},
        ],
        "descriptors": [base64.b64encode(_descriptors()).decode()],
        "limits": limits | changes,
    }


def _descriptors() -> bytes:
    """The echoing method as JSON clients see it: what is text to them is plain bytes to the backend."""
    file = descriptor_pb2.FileDescriptorProto(name="test.proto", package="test", syntax="proto3")
    message = file.message_type.add(name="Text")
    field = descriptor_pb2.FieldDescriptorProto
    message.field.add(name="content", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    service = file.service.add(name=SERVICE.rpartition(".")[2])
    service.method.add(name="Unary", input_type=".test.Text", output_type=".test.Text")
    return descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString()
