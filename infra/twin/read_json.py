"""Bodies that are JSON, and none of what Python takes for it besides."""

from __future__ import annotations

import json


def _no_number(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def read_json(body: bytes) -> object:
    """ValueError: it is none."""
    try:
        return json.loads(body, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
