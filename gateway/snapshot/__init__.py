"""From the configuration model to what the core serves: one JSON document, complete."""

from __future__ import annotations

from .check import CheckSnapshot, native_check_snapshot, snapshot_problems
from .compile import compile_snapshot
from .explain import explain
from .files import sources
from .health_checks import compile_checks

__all__ = [
    "CheckSnapshot",
    "compile_checks",
    "compile_snapshot",
    "explain",
    "native_check_snapshot",
    "snapshot_problems",
    "sources",
]
