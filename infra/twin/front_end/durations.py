"""Durations as the API writes them: seconds as text or a number, and nanoseconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def seconds(duration: Mapping[str, Any]) -> float:
    """In seconds."""
    return int(duration.get("seconds", 0)) + int(duration.get("nanos", 0)) / 1e9
