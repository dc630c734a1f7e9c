"""Durations as operators write them: `30s`, `1h30m`, `500ms`, `1d`."""

from __future__ import annotations

import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")


def parse_duration(text: str) -> float:
    """Seconds. ValueError says what is accepted."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'"{text}" is not a duration: write it like 30s, 1h30m or 500ms')
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
