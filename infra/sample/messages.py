"""The messages of `api.proto`, built at run time from its descriptor set.

The gateway and grpcurl read the same file, so there is one compiled form of the interface and no generated code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from infra.sample import DESCRIPTOR_SET

if TYPE_CHECKING:
    from google.protobuf.message import Message


class Method(NamedTuple):
    """`path` is what stands in `:path`; both messages have one string field, `content`."""

    path: str
    request: type[Message]
    response: type[Message]


def descriptor_pool() -> DescriptorPool:
    """A pool of its own, so that an embedding program may have another `api.proto`."""
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(DESCRIPTOR_SET.read_bytes()).file:
        pool.Add(file)
    return pool


def method_of(service: str, pool: DescriptorPool | None = None) -> Method:
    """The one method of `service`. KeyError: no such service."""
    descriptor = (pool or descriptor_pool()).FindServiceByName(service)
    method = descriptor.methods[0]
    return Method(f"/{service}/{method.name}", GetMessageClass(method.input_type), GetMessageClass(method.output_type))
