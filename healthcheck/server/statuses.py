"""The statuses that a server tells, and who wants to hear of their changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from grpc_health.v1 import health_pb2

OVERALL = ""
"""The service name that stands for the server as a whole."""

SERVING: int = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING: int = health_pb2.HealthCheckResponse.NOT_SERVING
SERVICE_UNKNOWN: int = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class Statuses:
    """A status for each service. Nothing here waits, so no slow watcher holds up a change or another watcher."""

    def __init__(self) -> None:
        self._statuses: dict[str, int] = {}
        self._watchers: dict[asyncio.Event, str] = {}
        self._closed = False

    @property
    def all(self) -> Mapping[str, int]:
        return MappingProxyType(self._statuses)

    @property
    def closed(self) -> bool:
        """Watchers are asked to end."""
        return self._closed

    @property
    def watchers(self) -> int:
        """How many watch anything now."""
        return len(self._watchers)

    def put(self, service: str, status: int) -> bool:
        """Whether this is a change."""
        if self._statuses.get(service) == status:
            return False
        self._statuses[service] = status
        for event, watched in self._watchers.items():
            if watched == service:
                event.set()
        return True

    def close(self) -> None:
        self._closed = True
        for event in self._watchers:
            event.set()

    @contextlib.contextmanager
    def watch(self, service: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever there may be something new; who was slow finds the newest only."""
        event = asyncio.Event()
        self._watchers[event] = service
        try:
            yield event
        finally:
            del self._watchers[event]
