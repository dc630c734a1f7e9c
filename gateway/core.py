"""What the process asks of the native core, and what the core says to the process.

`Core` is the part of `core/tidegate_core.pyi` that the process uses, as a Protocol, so that everything above it can be
tried without the native module.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

CoreEndpoint = tuple[str, int, int, int]
"""(address, weight, priority, distance)."""
Severity = Literal["INFO", "WARNING", "ERROR"]
HealthState = Literal["healthy", "unknown", "unhealthy"]


class Core(Protocol):
    """See `core/tidegate_core.pyi` for what each call promises."""

    def apply(self, snapshot: bytes) -> None: ...
    def listeners(self) -> list[tuple[str, str]]: ...
    def set_endpoints(self, backend: str, endpoints: list[CoreEndpoint]) -> None: ...
    def change_endpoints(self, backend: str, changed: list[CoreEndpoint], removed: list[str]) -> None: ...
    def set_health(self, backend: str, states: list[tuple[str, HealthState]]) -> None: ...
    def tallies(self, backend: str) -> list[tuple[str, int, int, int]]: ...
    def set_keys(self, provider: str, jwks: str) -> int: ...
    def fail_keys(self, provider: str) -> None: ...
    def drop_keys(self, provider: str) -> None: ...
    def event_fd(self) -> int: ...
    def poll_events(self) -> list[str]: ...
    def announce_drain(self) -> None: ...
    def close_connections(self) -> None: ...
    def active_streams(self) -> int: ...
    def active_connections(self) -> int: ...
    def stop(self) -> None: ...
    def ended_calls(self, backend: str) -> int: ...
    def beat(self, timeout: float) -> list[float | None]: ...
    def stats(self) -> str: ...
    def status(self) -> str: ...
    def clients(self) -> str: ...


CoreFactory = Callable[[int], Core]


def open_core(workers: int) -> Core:
    """Starts the native core with `workers` threads."""
    from tidegate_core import Core as NativeCore

    return NativeCore(workers)


class Prober(Protocol):
    """See `core/tidegate_core.pyi`; a plan is what `Probing.plan` makes."""

    def set(self, server: int, plan: Any, address: str, healthy: int, unhealthy: int) -> None: ...
    def remove(self, server: int) -> None: ...
    def set_quiet(self, plan: Any, quiet: bool) -> None: ...
    def event_fd(self) -> int: ...
    def poll_events(self) -> list[tuple[int, int, bool, str]]: ...


class Probing(Protocol):
    """Where probers come from."""

    def open(self) -> Prober:
        """Starts a thread that probes."""

    def plan(self, request: bytes) -> Any:
        """How servers are probed. ValueError: a bad request."""

    def counts(self, plan: Any) -> Mapping[str, int]:
        """How many probes by this plan ended how."""


class NativeProbing:
    """The core's own, imported when it is first needed."""

    def open(self) -> Prober:
        from tidegate_core import Prober as NativeProber

        return NativeProber()

    def plan(self, request: bytes) -> Any:
        from tidegate_core import ProbePlan

        return ProbePlan(request)

    def counts(self, plan: Any) -> Mapping[str, int]:
        counts: Mapping[str, int] = plan.counts()
        return counts


@dataclass(frozen=True, slots=True)
class KeysWanted:
    """A request waits for a key that the core does not have; `key_id` is None when the token names none."""

    provider: str
    key_id: str | None


@dataclass(frozen=True, slots=True)
class OutlierSeen:
    """The last `consecutive` calls of an endpoint failed."""

    backend: str
    address: str
    consecutive: int


@dataclass(frozen=True, slots=True)
class EndpointLost:
    """An endpoint could not be connected to, or a connection to it ended."""

    backend: str
    address: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """Something that the core wants an operator to read."""

    severity: Severity
    message: str
    fields: Mapping[str, object] = field(default_factory=dict)


def read_event(text: str) -> KeysWanted | OutlierSeen | EndpointLost | LogLine:
    """Reads one event of `Core.poll_events`; one of an unknown kind becomes a warning."""
    event = json.loads(text)
    match event.pop("event", None):
        case "keys-wanted":
            return KeysWanted(provider=event["provider"], key_id=event.get("kid"))
        case "outlier":
            return OutlierSeen(event["backend"], event["address"], event["consecutive"])
        case "endpoint-lost":
            return EndpointLost(event["backend"], event["address"])
        case "log":
            return LogLine(severity=event.pop("severity"), message=event.pop("message"), fields=event)
        case other:
            return LogLine("WARNING", f"The core sent an event of an unknown kind: {other!r}.")
