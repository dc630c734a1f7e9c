"""Durations as Go writes them: `1s`, `1.5h`, `1m30s`, `300ms`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
DIGITS = "0123456789."


def parse_duration(text: str) -> float:
    """Seconds. ValueError: no duration, or a number without its unit."""
    seconds, rest = 0.0, text.removeprefix("+")
    while rest:
        number, rest = _leading(rest, lambda character: character in DIGITS)
        unit, rest = _leading(rest, lambda character: character not in DIGITS)
        if not number.strip(".") or number.count(".") > 1 or unit not in UNITS:
            break
        seconds += float(number) * UNITS[unit]
    else:
        if text.strip("+"):
            return seconds
    raise ValueError(f'"{text}" is no duration: give a number with its unit, as in 500ms, 1s or 1m30s')


def _leading(text: str, belongs: Callable[[str], bool]) -> tuple[str, str]:
    end = next((at for at, character in enumerate(text) if not belongs(character)), len(text))
    return text[:end], text[end:]
