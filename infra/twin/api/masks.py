"""Partial answers: `fields=items(name,selfLink),nextPageToken`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Mask = dict[str, "Mask"]
"""By field, what is wanted of it; empty: all of it."""

DEEPEST = 20

_TOKEN = re.compile(r"[A-Za-z0-9_*-]+|[(),/]")


def parse(text: str) -> Mask:
    """Reads a mask. ValueError: it is none."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text.replace(" ", ""):
        raise ValueError(f"Invalid field selection {text[:200]}")
    mask, at = _fields(tokens, 0, 0)
    if at != len(tokens):
        raise ValueError(f"Invalid field selection {text[:200]}")
    return mask


def _fields(tokens: list[str], at: int, depth: int) -> tuple[Mask, int]:
    if depth > DEEPEST:
        raise ValueError("Invalid field selection: nested too deep")
    mask: Mask = {}
    while True:
        path = []
        while True:
            if at >= len(tokens) or tokens[at] in "(),/":
                raise ValueError("Invalid field selection: a name is missing")
            path.append(tokens[at])
            at += 1
            if at >= len(tokens) or tokens[at] != "/":
                break
            at += 1
        below: Mask = {}
        if at < len(tokens) and tokens[at] == "(":
            below, at = _fields(tokens, at + 1, depth + 1)
            if at >= len(tokens) or tokens[at] != ")":
                raise ValueError("Invalid field selection: a ) is missing")
            at += 1
        target = mask
        for step in path[:-1]:
            target = target.setdefault(step, {})
        target.setdefault(path[-1], {}).update(below)
        if at >= len(tokens) or tokens[at] != ",":
            return mask, at
        at += 1


def apply(mask: Mask, value: Any) -> Any:
    """The wanted part of an answer."""
    if not mask:
        return value
    if isinstance(value, list):
        return [apply(mask, member) for member in value]
    if not isinstance(value, Mapping):
        return value
    if "*" in mask:
        return {name: apply(mask["*"], member) for name, member in value.items()}
    return {name: apply(mask[name], member) for name, member in value.items() if name in mask}
