"""The sample app: two small gRPC services to put a gateway in front of."""

from __future__ import annotations

from pathlib import Path

DESCRIPTOR_SET = Path(__file__).with_name("api.pb")
"""A serialized `google.protobuf.FileDescriptorSet` of `api.proto`."""

ECHO = "api.Echo"
REVERSE = "api.Reverse"
SERVICES = (ECHO, REVERSE)
METHODS = {ECHO: "Echo", REVERSE: "Reverse"}
