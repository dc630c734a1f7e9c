"""Keeps the endpoints of every backend up to date in the core: one watcher for each backend, a source for each target.

Reloads go as those of `gateway.keys.refresh`: `prepare`, the core swaps, `commit` or `abandon`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.configuration.model import Backend, LookupFamily
from gateway.core import Core, CoreEndpoint
from gateway.discover.nearness import distances
from gateway.discover.resolve import Resolve
from gateway.discover.schemes import check, open_source
from gateway.discover.source import Endpoint, Failed, Polling, Settings, Source, Update
from gateway.lifecycle.roster import Roster

log = logging.getLogger("tidegate.discover")

RESOLVE_INTERVAL = 5.0

Endpoints = tuple[CoreEndpoint, ...]
"""As the core takes them."""


Follow = Callable[[str, Iterable[str], Iterable[str] | None], None]
"""Told of each change of a served backend: (its name, addresses that are new, addresses that are gone).

None: the first are all that there are."""


@dataclass(frozen=True, slots=True)
class BackendReport:
    """What is known of a backend's targets. `failures` counts since the start, `errors` are those of now.

    `described` are the endpoints with what their sources say of them, in the order of `endpoints`.
    """

    backend: str
    endpoints: tuple[str, ...]
    failures: int
    errors: tuple[str, ...]
    hints: tuple[str, ...] = ()
    described: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class _Watch:
    backend: str
    targets: tuple[str, ...]
    family: LookupFamily
    zone: str
    """The gateway's own, where the backend prefers its endpoints."""


class Directory:
    """Owns the watchers. All but `run` and `attempted` return at once."""

    def __init__(
        self, core: Core, resolve: Resolve, interval: float = RESOLVE_INTERVAL, follow: Follow | None = None
    ) -> None:
        self._left_out: dict[str, frozenset[str]] = {}
        self._roster: Roster[_Watch, _Watcher] = Roster(
            lambda watched: _Watcher(
                watched, core, Settings(interval, watched.family, resolve), self._left_out, follow or _nobody
            )
        )
        self._committed: tuple[_Watch, ...] = ()
        self._prepared: tuple[_Watch, ...] = ()

    async def run(self) -> None:
        """Runs the watchers until it is cancelled."""
        await self._roster.run()

    def prepare(self, backends: Sequence[Backend], zone: str = "") -> None:
        """Begins to resolve the targets of backends that are new, beside those that are served.

        `zone` is where this gateway runs.
        ValueError: a target is of no known form; nothing has begun then.
        """
        for target in (target for backend in backends for target in backend.targets):
            check(target)
        self._prepared = tuple(
            _Watch(backend.name, backend.targets, backend.lookup_family, zone if backend.balance.prefer_local else "")
            for backend in backends
        )
        self._roster.keep((*self._committed, *self._prepared))

    async def attempted(self, timeout: float) -> Mapping[str, Endpoints]:
        """The endpoints of every prepared backend, as far as they are known within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                for watched in self._prepared:
                    await self._roster[watched].attempted.wait()
        except TimeoutError:
            pass
        return {watched.backend: self._roster[watched].wanted() for watched in self._prepared}

    def commit(self, compiled: Mapping[str, Endpoints]) -> None:
        """The core now serves what was prepared, with the endpoints `compiled`.

        A watcher that is replaced may have spoken to the core since the swap, so its successor speaks in any case.
        """
        replaced = {watched.backend for watched in self._committed if watched not in self._prepared}
        self._committed = self._prepared
        self._roster.keep(self._committed)
        for backend in self._left_out.keys() - {watched.backend for watched in self._committed}:
            del self._left_out[backend]
        for watched in self._committed:
            served = None if watched.backend in replaced else compiled.get(watched.backend, ())
            self._roster[watched].publish(served)

    def abandon(self) -> None:
        """The core refused what was prepared."""
        self._prepared = self._committed
        self._roster.keep(self._committed)

    def leave_out(self, backend: str, addresses: frozenset[str]) -> None:
        """From now on a served backend does without these endpoints, whatever its sources say."""
        for watched in self._committed:
            if watched.backend == backend:
                self._left_out[backend] = addresses
                self._roster[watched].update()

    def addresses(self, backend: str) -> tuple[str, ...]:
        """Those of a backend that is served, but for what is left out; none of another."""
        watcher = self._watcher_of(backend)
        return tuple(address for address, *_ in watcher.wanted()) if watcher is not None else ()

    def refresh(self, backend: str) -> None:
        """An endpoint of a backend was lost: its sources that ask from time to time may ask now."""
        watcher = self._watcher_of(backend)
        if watcher is not None:
            watcher.refresh()

    def reports(self) -> tuple[BackendReport, ...]:
        """The state of every backend that is served."""
        return tuple(self._roster[watched].report() for watched in self._committed)

    def _watcher_of(self, backend: str) -> _Watcher | None:
        return next((self._roster[watched] for watched in self._committed if watched.backend == backend), None)


def _nobody(backend: str, added: Iterable[str], gone: Iterable[str] | None) -> None:
    """Follows nothing."""


class _Watcher:
    """One backend: hands what its sources find to the core, but for what is left out, and all of it to `follow`."""

    def __init__(
        self,
        watched: _Watch,
        core: Core,
        settings: Settings,
        left_out: Mapping[str, frozenset[str]],
        follow: Follow,
    ) -> None:
        self._left_out = left_out
        self._follow = follow
        self._watched = watched
        self._core = core
        self._settings = settings
        self._published = False
        self._served: Endpoints | None = None
        self._failures = 0
        self._found: dict[str, tuple[Endpoint, ...]] = {}
        self._errors: dict[str, str] = {}
        self._hints: dict[str, str] = {}
        self._polling: tuple[Polling, ...] = ()
        self._described: tuple[Endpoint, ...] = ()
        self.endpoints: Endpoints = ()
        self.attempted = asyncio.Event()

    async def run(self) -> None:
        targets = dict.fromkeys(self._watched.targets)
        sources = {target: open_source(target, self._settings) for target in targets}
        self._polling = tuple(source for source in sources.values() if isinstance(source, Polling))
        async with asyncio.TaskGroup() as group:
            for target, source in sources.items():
                group.create_task(self._listen(target, source))
        await asyncio.get_running_loop().create_future()

    async def _listen(self, target: str, source: Source) -> None:
        async for update in source.watch():
            self._take(target, update)

    def refresh(self) -> None:
        for source in self._polling:
            source.refresh()

    def publish(self, served: Endpoints | None) -> None:
        """From now on the core has the backend, with the endpoints `served`; None: nobody knows which."""
        self._published = True
        self._served = served
        self.update()
        self._follow(self._watched.backend, (address for address, *_ in self.endpoints), None)

    def wanted(self) -> Endpoints:
        """The endpoints that may get calls."""
        left_out = self._left_out.get(self._watched.backend)
        if not left_out:
            return self.endpoints
        return tuple(endpoint for endpoint in self.endpoints if endpoint[0] not in left_out)

    def report(self) -> BackendReport:
        addresses = tuple(address for address, *_ in self.endpoints)
        errors, hints = tuple(self._errors.values()), tuple(hint for hint in self._hints.values() if hint)
        return BackendReport(self._watched.backend, addresses, self._failures, errors, hints, self._described)

    def _take(self, target: str, update: Update) -> None:
        backend = self._watched.backend
        if isinstance(update, Failed):
            if self._errors.get(target) != update.reason:
                log.warning("Backend %s: %s The endpoints known before go on serving.", backend, update.reason)
            self._failures += 1
            self._errors[target] = update.reason
        else:
            if self._errors.pop(target, None) is not None:
                log.info("Backend %s: %s can be resolved again.", backend, target)
            if update.hint and self._hints.get(target) != update.hint:
                log.info("Backend %s: %s", backend, update.hint)
            self._hints[target] = update.hint
            self._found[target] = update.endpoints
        before = self.endpoints
        self._described, self.endpoints = self._all()
        if all(known in self._found or known in self._errors for known in self._watched.targets):
            self.attempted.set()
        self.update()
        if self._published and before != self.endpoints:
            had, has = ({address for address, *_ in some} for some in (before, self.endpoints))
            self._follow(backend, has - had, had - has)

    def _all(self) -> tuple[tuple[Endpoint, ...], Endpoints]:
        """Of all targets, in their order; of an address that is there twice the first counts."""
        merged: dict[str, tuple[Endpoint, int]] = {}
        for target in self._watched.targets:
            found = self._found.get(target, ())
            for endpoint, distance in zip(found, distances(found, self._watched.zone), strict=True):
                merged.setdefault(endpoint.address, (endpoint, distance))
        given = [(known.address, known.weight, known.priority, distance) for known, distance in merged.values()]
        return tuple(known for known, _ in merged.values()), tuple(given)

    def update(self) -> None:
        """Tells the core what it does not know yet."""
        backend, served, now = self._watched.backend, self._served, self.wanted()
        if not self._published or (served is not None and set(served) == set(now)):
            return
        try:
            if served is None:
                self._core.set_endpoints(backend, list(now))
            else:
                changed, left = set(now) - set(served), {address for address, *_ in now}
                gone = [address for address, *_ in served if address not in left]
                self._core.change_endpoints(backend, [endpoint for endpoint in now if endpoint in changed], gone)
        except KeyError:
            return
        log.info("Backend %s now has %d endpoints.", backend, len(now))
        self._served = now
