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
        self._watchers: dict[str, set[asyncio.Event]] = {}
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
        return sum(len(watchers) for watchers in self._watchers.values())

    def put(self, service: str, status: int) -> bool:
        """Whether this is a change."""
        if self._statuses.get(service) == status:
            return False
        self._statuses[service] = status
        self._wake(service)
        return True

    def close(self) -> None:
        self._closed = True
        for service in self._watchers:
            self._wake(service)

    @contextlib.contextmanager
    def watch(self, service: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever there may be something new; who was slow finds the newest only."""
        event = asyncio.Event()
        self._watchers.setdefault(service, set()).add(event)
        try:
            yield event
        finally:
            self._watchers[service].discard(event)
            if not self._watchers[service]:
                del self._watchers[service]

    def _wake(self, service: str) -> None:
        for event in self._watchers.get(service, ()):
            event.set()
