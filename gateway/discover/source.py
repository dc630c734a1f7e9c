"""The one interface of discovery: a name in, a stream of complete endpoint sets out.

Each scheme (`dns:`, `etcd:` ...) is a module with `check` and `open_source`, found by `gateway.discover.schemes`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from gateway.configuration.model import LookupFamily
from gateway.discover.resolve import Resolve, resolve


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`address` is `ip:port`, `[v6]:port` or `unix:///path`; `weight` at least 1; `priority` 0 comes first; `zone` ""
    is not known. `metadata` is what its source says of it, for people. `for_zones` are the zones that should use it."""

    address: str
    weight: int = 1
    zone: str = ""
    priority: int = 0
    metadata: tuple[tuple[str, str], ...] = ()
    for_zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """All endpoints there are now, without repetition; none at all is believed. `hint` is for the operator."""

    endpoints: tuple[Endpoint, ...]
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Failed:
    """The source could not be asked. `reason` says what, where and what to do; what was found last stays."""

    reason: str


Update = Found | Failed


class Source(Protocol):
    def watch(self) -> AsyncIterator[Update]:
        """Yields at once what is known, then every change, and each failure; ends only where nothing can change.

        It asks again by itself after a failure, with a back-off of its own.
        """


@runtime_checkable
class Polling(Source, Protocol):
    """A source that asks from time to time, and can be asked to do so sooner."""

    def refresh(self) -> None:
        """An endpoint was lost, so what was found may be out of date. May be called as often as one likes."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What sources of a backend have in common. `interval`: seconds between two questions where nothing says better."""

    interval: float = 5.0
    family: LookupFamily = "v4preferred"
    resolve: Resolve = resolve
