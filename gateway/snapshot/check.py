"""What the core would refuse of a configuration, found without serving it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gateway.configuration.model import GatewayConfig
from gateway.configuration.problems import ConfigurationError, Problem

from .compile import compile_snapshot
from .explain import explain

CheckSnapshot = Callable[[bytes], list[str]]
"""`tidegate_core.check_snapshot`: the faults of a snapshot, as `path: message`."""


def native_check_snapshot(snapshot: bytes) -> list[str]:
    """`tidegate_core.check_snapshot`, imported when it is first needed."""
    from tidegate_core import check_snapshot

    return check_snapshot(snapshot)


def snapshot_problems(config: GatewayConfig, check: CheckSnapshot = native_check_snapshot) -> tuple[Problem, ...]:
    """Every fault of routes, methods, HTTP bindings, descriptors and limits.

    Certificates are left out: they need not be on the machine where a configuration is checked.
    """
    bare = replace(config, listeners=(), backends=tuple(replace(backend, tls=None) for backend in config.backends))
    try:
        snapshot = compile_snapshot(bare, "", {})
    except ConfigurationError as error:
        return error.problems
    return explain(check(snapshot), config)
