"""Says what the core refuses in a snapshot in the words of the operator who wrote the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.configuration.model import GatewayConfig
from gateway.configuration.problems import Place, Problem

_METHOD_FAULT = re.compile(r"methods\[(\d{1,9})\](?:\.bindings\[(\d{1,9})\])?(?:\.(\w+))?: (.*)", re.DOTALL)
_DESCRIPTOR_FAULT = re.compile(r"descriptors\[(\d{1,9})\]: (.*)", re.DOTALL)


def explain(faults: Iterable[str], config: GatewayConfig) -> tuple[Problem, ...]:
    """The core's faults (`methods[3].bindings[0].body: ...`) with places of the operator's files instead of its own.

    What belongs to no one place is said of the first of the files.
    """
    return tuple(_explain(fault, config) for fault in faults)


def _explain(fault: str, config: GatewayConfig) -> Problem:
    if (match := _METHOD_FAULT.fullmatch(fault)) and int(match[1]) < len(config.methods):
        return _of_method(match, config)
    whole = Place(str(config.sources[0]) if config.sources else "configuration")
    if match := _DESCRIPTOR_FAULT.fullmatch(fault):
        number = int(match[1]) - len(config.embedded_descriptors)
        if 0 <= number < len(config.descriptors):
            return _problem(Place(str(config.descriptors[number])), match[2])
    return _problem(whole, fault)


def _of_method(match: re.Match[str], config: GatewayConfig) -> Problem:
    method, key = config.methods[int(match[1])], match[3]
    subject, place = method.name, method.origin
    if match[2] is not None and int(match[2]) < len(method.bindings):
        binding = method.bindings[int(match[2])]
        subject += f", {binding.verb} {binding.template}"
        written = binding.places.get(key or "template")
        place, key = (written, None) if written else (binding.places.get("template", place), key)
    subject += f", {key}" if key else ""
    return _problem(place or Place("configuration"), f"{subject}: {match[4]}")


def _problem(place: Place, message: str) -> Problem:
    return Problem(place.file, place.line, place.path, message)
