"""How a child process says that it serves: one line of JSON, `{"address": ...}`, on a descriptor that it was given.

A child can so take any free port, and whoever started it knows the port without racing for it.
"""

from __future__ import annotations

import json
import os

MAX_BYTES = 4096
"""PIPE_BUF on Linux: what fits is written whole, so that a reader never sees half a line."""


def announce(descriptor: int | None, address: str) -> None:
    """Writes the line and closes the descriptor. None: nobody asked."""
    if descriptor is None:
        return
    try:
        os.write(descriptor, encode(address))
    except BrokenPipeError:
        pass
    finally:
        os.close(descriptor)


def encode(address: str) -> bytes:
    return json.dumps({"address": address}).encode() + b"\n"


def decode(line: bytes) -> str:
    """The address. ValueError: not an announcement."""
    document = json.loads(line)
    if not isinstance(document, dict) or not isinstance(address := document.get("address"), str):
        raise ValueError("an announcement must be an object with an address")
    return address
