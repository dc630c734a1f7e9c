"""What is known of the health of every backend's endpoints, and the core's knowledge of it.

The state machine (`healthcheck.state`) decides; this keeps its states, wakes it when time alone changes something, and
hands its verdicts on: once for everything that is learnt at one time, and only what the core does not know yet.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.balance.deadlines import Deadlines
from gateway.configuration.model import Backend, HealthCheck
from gateway.core import Core, HealthState
from gateway.lifecycle.log import FIELDS
from healthcheck.state import (
    Admin,
    Administered,
    Damping,
    Ejected,
    Event,
    Health,
    Input,
    Observation,
    Observed,
    Policy,
    Tick,
    Verdict,
    advance,
)

log = logging.getLogger("tidegate.balance")

_STATES: Mapping[Verdict, HealthState] = {
    Verdict.HEALTHY: "healthy",
    Verdict.UNKNOWN: "unknown",
    Verdict.UNHEALTHY: "unhealthy",
    Verdict.DRAINED: "unhealthy",
}

EndpointsOf = Callable[[str], Sequence[str]]
"""The addresses that a backend has now."""

Found = tuple[str, str, Sequence[Observation]]
"""(backend, address, what was seen of it, the oldest first)."""


@dataclass(slots=True)
class _Entry:
    """`told`: what the core knows."""

    health: Health
    told: HealthState = "unknown"


class HealthBook:
    """All but `run` return at once."""

    def __init__(self, core: Core, endpoints_of: EndpointsOf, now: Callable[[], float] | None = None) -> None:
        self._core = core
        self._endpoints_of = endpoints_of
        self._now = now or asyncio.get_running_loop().time
        self._checks: dict[str, HealthCheck | None] = {}
        self._policies: dict[str, Policy] = {}
        self._entries: dict[str, dict[str, _Entry]] = {}
        self._touched: dict[str, dict[str, None]] = {}
        self._events: list[tuple[str, Event]] = []
        self._counts: dict[str, Counter[tuple[str, str]]] = {}
        self._deadlines: Deadlines[tuple[str, str]] = Deadlines()
        self._changed = asyncio.Event()

    def prepare(self, backends: Sequence[Backend]) -> None:
        """The core is about to serve these backends: whom checks that end now found ill, it shall not refuse then."""
        checks = {known.name: known.health_check for known in backends}
        for backend, entries in self._entries.items():
            if backend not in checks or checks[backend] == self._checks.get(backend):
                continue
            ill = [address for address, entry in entries.items() if entry.told == "unhealthy"]
            if ill:
                self._core.set_health(backend, [(address, "unknown") for address in ill])
                for address in ill:
                    entries[address].told = "unknown"

    def abandon(self) -> None:
        """The core refused what was prepared."""
        for backend, entries in self._entries.items():
            for address in entries:
                self._touch(backend, address)
        self._tell()

    def commit(self, backends: Sequence[Backend], found: Iterable[Found] = ()) -> None:
        """The core now serves these backends; what is known of others is forgotten, and `found` is known already.

        So is what checks saw that are not made any more, or are made in another way.
        """
        names = {known.name for known in backends}
        self._entries = {name: entries for name, entries in self._entries.items() if name in names}
        self._counts = {name: counts for name, counts in self._counts.items() if name in names}
        checks = {known.name: known.health_check for known in backends}
        for backend, entries in self._entries.items():
            if checks[backend] != self._checks.get(backend):
                for address, entry in entries.items():
                    entry.health = _unobserved(entry.health)
                    self._touch(backend, address)
        self._checks = checks
        self._policies = {name: _policy(check) for name, check in checks.items()}
        self.observe(found)

    def observe(self, found: Iterable[Found]) -> None:
        """Health checks have seen this."""
        now = self._now()
        for backend, address, seen in found:
            for observation in seen:
                self._give(backend, address, observation, now)
        self._tell()

    def eject(self, backend: str, address: str, ejected: Ejected) -> None:
        """Outlier detection saw an endpoint fail."""
        self._give(backend, address, ejected, self._now())
        self._tell()

    def ejected(self, backend: str) -> frozenset[str]:
        """The addresses whose ejection is not over."""
        entries = self._entries.get(backend, {})
        return frozenset(address for address, entry in entries.items() if entry.health.ejected_until is not None)

    def administer(self, backend: str, address: str, admin: Admin, detail: str = "") -> None:
        """An operator's word. What is drained has to be left out of the backend's endpoints as well: see `drained`."""
        self._give(backend, address, Administered(admin, detail), self._now())
        self._tell()

    def drained(self, backend: str) -> frozenset[str]:
        """The addresses that an operator took out."""
        entries = self._entries.get(backend, {})
        return frozenset(address for address, entry in entries.items() if entry.health.admin is not Admin.ENABLED)

    def follow(self, backend: str, added: Iterable[str], gone: Iterable[str] | None) -> None:
        """A backend has other endpoints; what is known of those that are gone is forgotten, but for an operator's word.

        `gone` None: `added` are all that there are.
        """
        entries = self._entries.get(backend)
        if not entries:
            return
        if gone is None:
            added = dict.fromkeys(added)
            gone = [address for address in entries if address not in added]
        gone = tuple(gone)
        for address in gone:
            if (entry := entries.get(address)) is not None:
                entry.health = replace(Health(address), admin=entry.health.admin)
                self._touch(backend, address)
        self._tell()
        for address in gone:
            if (entry := entries.get(address)) is not None and entry.health.admin is Admin.ENABLED:
                del entries[address]
        for address in added:
            if (entry := entries.get(address)) is not None:
                # Who comes back is new to the core.
                entry.told = "unknown"
                self._touch(backend, address)
        self._tell()

    def states(self, backend: str) -> tuple[Health, ...]:
        """What is known of a backend's endpoints, where anything ever was."""
        return tuple(entry.health for entry in self._entries.get(backend, {}).values())

    def changes(self) -> Mapping[str, Mapping[tuple[str, str], int]]:
        """How often something changed, by backend and (what, reason), since the start."""
        return self._counts

    async def run(self) -> None:
        """Ends ejections and damping in time, until it is cancelled."""
        while True:
            self._changed.clear()
            due = self._deadlines.first()
            try:
                async with asyncio.timeout(None if due is None else max(due - self._now(), 0.0)):
                    await self._changed.wait()
            except TimeoutError:
                self._tick()

    def _tick(self) -> None:
        now = self._now()
        for backend, address in self._deadlines.take(now):
            entry = self._entries.get(backend, {}).get(address)
            if entry is None or entry.health.due is None:
                continue
            if entry.health.due <= now:
                self._give(backend, address, Tick(), now)
            else:
                self._deadlines.set((backend, address), entry.health.due)
        self._tell()

    def _give(self, backend: str, address: str, given: Input, now: float) -> None:
        entry = self._entries.setdefault(backend, {}).setdefault(address, _Entry(Health(address)))
        entry.health, events = advance(entry.health, given, self._policies.get(backend, Policy()), now)
        if (due := entry.health.due) is not None and self._deadlines.set((backend, address), due):
            self._changed.set()
        if events:
            self._events += [(backend, event) for event in events]
            self._touch(backend, address)

    def _touch(self, backend: str, address: str) -> None:
        self._touched.setdefault(backend, {})[address] = None

    def _tell(self) -> None:
        """Tells the core, then everybody else."""
        touched, self._touched = self._touched, {}
        for backend, addresses in touched.items():
            entries = self._entries.get(backend, {})
            now = [(address, _STATES[entries[address].health.verdict]) for address in addresses if address in entries]
            states = [(address, state) for address, state in now if state != entries[address].told]
            if not states:
                continue
            try:
                self._core.set_health(backend, states)
            except KeyError:
                continue
            for address, state in states:
                entries[address].told = state
        events, self._events = self._events, []
        for backend, event in events:
            self._counts.setdefault(backend, Counter())[str(event.change), event.reason] += 1
            _say(backend, event)


def _unobserved(health: Health) -> Health:
    return replace(health, observed=Observed.UNKNOWN, passes=0, failures=0, penalty=0.0, damped_until=None)


def _policy(check: HealthCheck | None) -> Policy:
    if check is None:
        return Policy()
    return Policy(check.healthy_threshold, check.unhealthy_threshold, Damping() if check.flap_damping else None)


def _say(backend: str, event: Event) -> None:
    fields = {"backend": backend, "endpoint": event.endpoint, "reason": event.reason, "verdict": str(event.verdict)}
    level = logging.INFO if event.verdict in (Verdict.HEALTHY, Verdict.UNKNOWN) else logging.WARNING
    log.log(level, "Backend %s: %s", backend, event, extra={FIELDS: fields})
