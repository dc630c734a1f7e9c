"""A core that serves one snapshot, with nothing of Python's policy around it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Self

from tidegate_core import Core

MAIN = "main"
LONG_SECONDS = 20.0
"""Only a test that fails waits for so long."""


def backend(address: str, name: str = "app", **fields: Any) -> dict[str, Any]:
    return {"name": name, "endpoints": [{"address": address}], **fields}


def listener(name: str = MAIN, address: str = "127.0.0.1:0", **fields: Any) -> dict[str, Any]:
    return {"name": name, "address": address, **fields}


def route(to: str = "app", *, name: str = "all", **fields: Any) -> dict[str, Any]:
    """`match` and time-outs go into `fields`."""
    return {"name": name, "backends": [{"name": to}], **fields}


def document(*backends: dict[str, Any] | str, **fields: Any) -> dict[str, Any]:
    """A snapshot with one listener and one route to the first backend, where `fields` do not say otherwise."""
    known = [backend(given) if isinstance(given, str) else given for given in backends]
    routes = [route(known[0]["name"])] if known else []
    return {"version": "1", "listeners": [listener()], "backends": known, "routes": routes, **fields}


class Serving:
    """`with Serving(document(address)) as serving` serves at `serving.address`."""

    def __init__(self, snapshot: dict[str, Any], workers: int = 1) -> None:
        self.snapshot = snapshot
        self.core = Core(workers)
        try:
            self.apply()
        except BaseException:
            self.core.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.core.stop()

    def apply(self, **changes: Any) -> None:
        """Swaps to the snapshot with some fields changed."""
        changed = {**self.snapshot, **changes}
        self.core.apply(json.dumps(changed).encode())
        self.snapshot = changed

    def at(self, name: str) -> str:
        """The bound address of a listener."""
        return dict(self.core.listeners())[name]

    @property
    def address(self) -> str:
        return self.at(MAIN)

    @property
    def place(self) -> tuple[str, int]:
        """Host and port of the main listener."""
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port)

    def number(self, name: str, **labels: str) -> float:
        """The sum of a counter or gauge over all its series that carry `labels`."""
        stats = json.loads(self.core.stats())
        series = [*stats["counters"], *stats["gauges"]]
        values: list[float] = [
            one["value"] for one in series if one["name"] == name and labels.items() <= one["labels"].items()
        ]
        return sum(values)

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Takes what the core has to say; only events of one kind are returned."""
        return [event for event in map(json.loads, self.core.poll_events()) if event["event"] == kind]

    async def until(self, name: str, wanted: float, **labels: str) -> None:
        """Waits for a counter or gauge to reach exactly a value."""
        await until(f"{name}{labels or ''} = {wanted}", lambda: self.number(name, **labels) == wanted)

    async def idle(self) -> None:
        """Waits until nothing of any request is left."""
        await until("the end of all streams", lambda: self.core.active_streams() == 0)
        await self.until("buffered_bytes", 0)


async def until(what: str, look: Any, seconds: float = LONG_SECONDS) -> Any:
    """Awaits that `look()` returns something true; AssertionError when it never does."""
    deadline = time.monotonic() + seconds
    while not (result := look()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain for {what}"
        await asyncio.sleep(0.01)
    return result
