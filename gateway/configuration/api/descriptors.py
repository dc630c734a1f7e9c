"""Which services and methods descriptor sets hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..model import Binding
from ..problems import Place, Problems
from .definition import DescriptorSet

Describe = Callable[[bytes], str]
"""`tidegate_core.describe_descriptors`: the services of a FileDescriptorSet as JSON, ValueError for anything else."""

LARGEST_DESCRIPTOR_SET = 32 << 20
"""Bytes; Google's whole public API surface is smaller."""

HEALTH_SERVICE = "grpc.health.v1.Health"
HEALTH_METHODS = ("Check", "List", "Watch")
"""Built in, as health is served whether or not an application's descriptors have it (grpc/health/v1/health.proto)."""


@dataclass(frozen=True, slots=True)
class DescribedMethod:
    """A method's short name and the bindings of its google.api.http annotation."""

    name: str
    bindings: tuple[Binding, ...] = ()


Described = Mapping[str, tuple[DescribedMethod, ...]]
"""Methods by their service's full name."""


def native_describe(data: bytes) -> str:
    """`tidegate_core.describe_descriptors`, imported when it is first needed."""
    from tidegate_core import describe_descriptors

    return describe_descriptors(data)


def read_descriptors(path: Path, place: Place, problems: Problems) -> DescriptorSet | None:
    """The bytes of a descriptor file; None after reporting why not. `place` is where the path was written."""
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_DESCRIPTOR_SET + 1)
    except OSError as error:
        problems.error(place, f"descriptor set {path} cannot be read: {error.strerror or error}")
        return None
    if len(data) > LARGEST_DESCRIPTOR_SET:
        problems.error(place, f"descriptor set {path} is larger than {LARGEST_DESCRIPTOR_SET >> 20} MiB")
        return None
    return DescriptorSet(data, Place(str(path)))


def describe_all(sets: Iterable[DescriptorSet], describe: Describe, problems: Problems) -> Described:
    """The services of all sets; a set that is none is reported, and so is a service that two sets describe."""
    services: dict[str, tuple[DescribedMethod, ...]] = {}
    for descriptor_set in sets:
        try:
            document = json.loads(describe(descriptor_set.data))
        except ValueError as error:
            hint = "make one with: protoc --include_imports --descriptor_set_out=api.pb api.proto"
            problems.error(descriptor_set.place, f"is not a protocol buffer descriptor set: {error}", hint)
            continue
        for service in document["services"]:
            place = replace(descriptor_set.place, path=service["name"])
            methods = tuple(_described(method, place) for method in service["methods"])
            services.setdefault(service["name"], methods)
    return services


def _described(method: dict[str, Any], service: Place) -> DescribedMethod:
    place = replace(service, path=f"{service.path}.{method['name']}")
    bindings = (Binding(**binding, places={"template": place}) for binding in method["http"])
    return DescribedMethod(method["name"], tuple(bindings))
