"""From the configuration model to what the core serves: one JSON document, complete."""

from __future__ import annotations

from .compile import compile_snapshot
from .explain import explain
from .files import sources

__all__ = ["compile_snapshot", "explain", "sources"]
