"""Keeps the endpoints of every backend up to date in the core: one watcher for each backend.

Reloads go as those of `gateway.keys.refresh`: `prepare`, the core swaps, `commit` or `abandon`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.configuration.model import Backend, LookupFamily
from gateway.core import Core
from gateway.discover.resolve import Resolve
from gateway.discover.target import parse
from gateway.discover.watch import Resolution, watch
from gateway.lifecycle.roster import Roster

log = logging.getLogger("tidegate.discover")

RESOLVE_INTERVAL = 5.0
WEIGHT = 1

Endpoints = tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class BackendReport:
    """What is known of a backend's targets. `failures` counts resolutions that failed since the start."""

    backend: str
    endpoints: tuple[str, ...]
    failures: int
    errors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Watch:
    backend: str
    targets: tuple[str, ...]
    family: LookupFamily


class Directory:
    """Owns the watchers. All but `run` and `attempted` return at once."""

    def __init__(self, core: Core, resolve: Resolve, interval: float = RESOLVE_INTERVAL) -> None:
        self._roster: Roster[_Watch, _Watcher] = Roster(lambda watched: _Watcher(watched, core, resolve, interval))
        self._committed: tuple[_Watch, ...] = ()
        self._prepared: tuple[_Watch, ...] = ()

    async def run(self) -> None:
        """Runs the watchers until it is cancelled."""
        await self._roster.run()

    def prepare(self, backends: Sequence[Backend]) -> None:
        """Begins to resolve the targets of backends that are new, beside those that are served.

        ValueError: a target is of no known form; nothing has begun then.
        """
        for target in (target for backend in backends for target in backend.targets):
            parse(target)
        self._prepared = tuple(_Watch(backend.name, backend.targets, backend.lookup_family) for backend in backends)
        self._roster.keep((*self._committed, *self._prepared))

    async def attempted(self, timeout: float) -> Mapping[str, Endpoints]:
        """The endpoints of every prepared backend, as far as they are known within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                for watched in self._prepared:
                    await self._roster[watched].attempted.wait()
        except TimeoutError:
            pass
        return {watched.backend: self._roster[watched].endpoints for watched in self._prepared}

    def commit(self, compiled: Mapping[str, Endpoints]) -> None:
        """The core now serves what was prepared, with the endpoints `compiled`.

        A watcher that is replaced may have spoken to the core since the swap, so its successor speaks in any case.
        """
        replaced = {watched.backend for watched in self._committed if watched not in self._prepared}
        self._committed = self._prepared
        self._roster.keep(self._committed)
        for watched in self._committed:
            served = None if watched.backend in replaced else compiled.get(watched.backend, ())
            self._roster[watched].publish(served)

    def abandon(self) -> None:
        """The core refused what was prepared."""
        self._prepared = self._committed
        self._roster.keep(self._committed)

    def reports(self) -> tuple[BackendReport, ...]:
        """The state of every backend that is served."""
        return tuple(self._roster[watched].report() for watched in self._committed)


class _Watcher:
    """One backend: hands what `watch` yields to the core."""

    def __init__(self, watched: _Watch, core: Core, resolve: Resolve, interval: float) -> None:
        self._watched = watched
        self._core = core
        self._resolve = resolve
        self._interval = interval
        self._published = False
        self._served: Endpoints | None = None
        self._failures = 0
        self._errors: tuple[str, ...] = ()
        self.endpoints: Endpoints = ()
        self.attempted = asyncio.Event()

    async def run(self) -> None:
        watched = self._watched
        async for resolution in watch(watched.targets, self._resolve, self._interval, watched.family):
            self._take(resolution)
        await asyncio.get_running_loop().create_future()

    def publish(self, served: Endpoints | None) -> None:
        """From now on the core has the backend, with the endpoints `served`; None: nobody knows which."""
        self._published = True
        self._served = served
        self._update()

    def report(self) -> BackendReport:
        addresses = tuple(address for address, _ in self.endpoints)
        return BackendReport(self._watched.backend, addresses, self._failures, self._errors)

    def _take(self, resolution: Resolution) -> None:
        for error in resolution.errors:
            if error not in self._errors:
                log.warning("Backend %s: %s The endpoints known before go on serving.", self._watched.backend, error)
        if self._errors and not resolution.errors:
            log.info("Backend %s: all its targets can be resolved again.", self._watched.backend)
        self._failures += len(resolution.errors)
        self._errors = resolution.errors
        self.endpoints = tuple((address, WEIGHT) for address in resolution.endpoints)
        self.attempted.set()
        self._update()

    def _update(self) -> None:
        if not self._published or (self._served is not None and set(self._served) == set(self.endpoints)):
            return
        try:
            self._core.set_endpoints(self._watched.backend, list(self.endpoints))
        except KeyError:
            return
        log.info("Backend %s now has %d endpoints.", self._watched.backend, len(self.endpoints))
        self._served = self.endpoints
