"""The native core alone, with a snapshot that a test writes itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tidegate_core import Core


def document(backend: str, **changes: Any) -> dict[str, Any]:
    """A plain proxy: everything goes to `backend` (host:port). Changes replace members of the snapshot."""
    plain = {
        "version": "1",
        "listeners": [{"name": "main", "address": "127.0.0.1:0"}],
        "backends": [{"name": "app", "endpoints": [{"address": backend}]}],
        "routes": [{"name": "all", "backends": [{"name": "app"}]}],
    }
    return plain | changes


class Served:
    """A core that serves a snapshot."""

    def __init__(self, core: Core) -> None:
        self.core = core

    @property
    def address(self) -> str:
        """Of the first listener."""
        return self.core.listeners()[0][1]

    def counter(self, name: str, **labels: str) -> int:
        """A counter's value; 0 where it has not been counted."""
        counters = json.loads(self.core.stats())["counters"]
        return sum(one["value"] for one in counters if one["name"] == name and one["labels"] == labels)

    def gauge(self, name: str) -> int:
        """A gauge's value over all workers."""
        return sum(one["value"] for one in json.loads(self.core.stats())["gauges"] if one["name"] == name)

    def is_alive(self) -> bool:
        """Whether every worker's loop answers."""
        return None not in self.core.beat(10.0)


@contextmanager
def serve(snapshot: Mapping[str, Any], workers: int = 1) -> Iterator[Served]:
    core = Core(workers)
    try:
        core.apply(json.dumps(snapshot).encode())
        yield Served(core)
    finally:
        core.stop()


def resident_bytes() -> int:
    """Memory of this process, of which the core is a part."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
