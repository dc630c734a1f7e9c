"""A prober that asks nobody: it records what it is told, and says what a test puts into it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any


class ScriptedProber:
    def __init__(self) -> None:
        self.servers: dict[int, str] = {}
        self.orders: list[str] = []
        self.quiet: list[tuple[bytes, bool]] = []
        self._events: list[tuple[int, int, bool, str]] = []
        self._readable, self._writable = os.pipe()

    def say(self, address: str, outcome: str, streak: int = 1, watched: bool = False) -> None:
        """Of the server that was set last at this address."""
        number = max(number for number, known in self.servers.items() if known == address)
        self._events.append((number, streak, watched, json.dumps({"outcome": outcome, "text": outcome.lower()})))
        os.write(self._writable, b"!")

    def set(self, server: int, plan: bytes, address: str, healthy: int, unhealthy: int) -> None:
        self.servers[server] = address
        self.orders.append(f"+{address}")

    def remove(self, server: int) -> None:
        self.orders.append(f"-{self.servers.pop(server)}")

    def set_quiet(self, plan: bytes, quiet: bool) -> None:
        if not self.quiet or self.quiet[-1] != (plan, quiet):
            self.quiet.append((plan, quiet))

    def event_fd(self) -> int:
        return self._readable

    def poll_events(self) -> list[tuple[int, int, bool, str]]:
        os.read(self._readable, 4096)
        events, self._events = self._events, []
        return events


class ScriptedProbing:
    """`prober` is there once it was opened; a plan is its request."""

    def __init__(self) -> None:
        self.prober = ScriptedProber()
        self.opened = 0

    def open(self) -> ScriptedProber:
        self.opened += 1
        return self.prober

    def plan(self, request: bytes) -> bytes:
        return request

    def counts(self, plan: Any) -> Mapping[str, int]:
        return {"SERVING": len(plan)}
