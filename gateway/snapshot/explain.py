"""Says what the core refuses in a snapshot in the words of the operator who wrote the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.configuration.model import GatewayConfig

_METHOD_FAULT = re.compile(r"methods\[(\d{1,9})\](?:\.bindings\[(\d{1,9})\])?(?:\.(\w+))?: (.*)", re.DOTALL)


def explain(faults: Iterable[str], config: GatewayConfig) -> tuple[str, ...]:
    """The core's faults (`methods[3].bindings[0].body: ...`) with places of the operator's files instead of its own."""
    return tuple(_explain(fault, config) for fault in faults)


def _explain(fault: str, config: GatewayConfig) -> str:
    match = _METHOD_FAULT.fullmatch(fault)
    if match is None or int(match[1]) >= len(config.methods):
        return fault
    method = config.methods[int(match[1])]
    subject = method.name
    if match[2] is not None and int(match[2]) < len(method.bindings):
        binding = method.bindings[int(match[2])]
        subject += f", {binding.verb} {binding.template}"
    key = f", {match[3]}" if match[3] else ""
    return f"{method.origin}: {subject}{key}: {match[4]}" if method.origin else f"{subject}{key}: {match[4]}"
