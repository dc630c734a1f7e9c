"""Watches how real calls to every backend's endpoints end, and has those ejected that stand out.

Failures in a row are told by the core at once; rates are looked at in a sweep of each `interval`. What is decided goes
to the health book, whose state machine ends the ejection in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.balance.book import EndpointsOf, HealthBook
from gateway.balance.ejection import Ejection, EjectionKind, Ejections, Outlier
from gateway.balance.rates import Windows, outliers
from gateway.configuration.model import Backend, OutlierDetection
from gateway.core import Core, OutlierSeen
from healthcheck.state import Ejected


@dataclass(frozen=True, slots=True)
class Standing:
    """An ejection that is not over: `seconds` are left of it, and `times` how often it has come to this."""

    kind: EjectionKind
    reason: str
    times: int
    seconds: float


@dataclass(frozen=True, slots=True)
class EjectionReport:
    """The ejections of one backend: how many of each kind since the start, and by address those of now."""

    counts: Mapping[EjectionKind, int] = field(default_factory=dict)
    standing: Mapping[str, Standing] = field(default_factory=dict)


@dataclass(slots=True)
class _Watched:
    policy: OutlierDetection
    ejections: Ejections
    windows: Windows
    due: float | None
    """When the next sweep is; None: there is no rate to look at."""


class Outliers:
    """All but `run` return at once."""

    def __init__(
        self, core: Core, book: HealthBook, endpoints_of: EndpointsOf, now: Callable[[], float] | None = None
    ) -> None:
        self._core = core
        self._book = book
        self._endpoints_of = endpoints_of
        self._now = now or asyncio.get_running_loop().time
        self._watched: dict[str, _Watched] = {}
        self._changed = asyncio.Event()

    def commit(self, backends: Sequence[Backend]) -> None:
        """The core now serves these backends; what is known of others is forgotten."""
        policies = {known.name: known.outlier_detection for known in backends}
        self._watched = {name: self._watch(name, policy) for name, policy in policies.items() if policy is not None}
        self._changed.set()

    def seen(self, event: OutlierSeen) -> None:
        """An endpoint's calls failed `event.consecutive` times in a row."""
        watched = self._watched.get(event.backend)
        if watched is not None:
            reason = f"{event.consecutive} calls in a row failed"
            self._eject(event.backend, watched, [Outlier(event.address, "consecutive-errors", reason)])

    def reports(self) -> dict[str, EjectionReport]:
        """By the name of each backend that has outlier detection."""
        now = self._now()
        for name, watched in self._watched.items():
            watched.ejections.confirm(self._book.ejected(name), now)
        return {name: _report(watched.ejections, now) for name, watched in self._watched.items()}

    async def run(self) -> None:
        """Sweeps until it is cancelled."""
        while True:
            self._changed.clear()
            due = min((known.due for known in self._watched.values() if known.due is not None), default=None)
            try:
                async with asyncio.timeout(None if due is None else max(due - self._now(), 0.0)):
                    await self._changed.wait()
            except TimeoutError:
                self._sweep()

    def _watch(self, name: str, policy: OutlierDetection) -> _Watched:
        known = self._watched.get(name)
        if known is not None and known.policy == policy:
            return known
        has_rates = policy.success_rate is not None or policy.failure_percentage is not None
        return _Watched(
            policy,
            known.ejections if known is not None else Ejections(),
            Windows(self._core.tallies(name)) if has_rates else Windows(),
            self._now() + policy.interval if has_rates else None,
        )

    def _sweep(self) -> None:
        now = self._now()
        for name, watched in self._watched.items():
            if watched.due is None or watched.due > now:
                continue
            watched.due = now + watched.policy.interval
            try:
                windows = watched.windows.next(self._core.tallies(name))
            except KeyError:
                continue
            compared = frozenset(self._endpoints_of(name)) - self._book.ejected(name)
            windows = {address: window for address, window in windows.items() if address in compared}
            self._eject(name, watched, outliers(windows, watched.policy))

    def _eject(self, name: str, watched: _Watched, found: Iterable[Outlier]) -> None:
        now = self._now()
        watched.ejections.confirm(self._book.ejected(name), now)
        endpoints = frozenset(self._endpoints_of(name))
        for ejection in watched.ejections.decide(found, endpoints, watched.policy, now):
            self._book.eject(name, ejection.outlier.address, Ejected(ejection.until, ejection.outlier.reason))


def _report(ejections: Ejections, now: float) -> EjectionReport:
    return EjectionReport(
        dict(ejections.counts), {past.outlier.address: _standing(past, now) for past in ejections.standing(now)}
    )


def _standing(past: Ejection, now: float) -> Standing:
    return Standing(past.outlier.kind, past.outlier.reason, past.times, past.until - now)
