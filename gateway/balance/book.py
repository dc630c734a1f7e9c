"""What is known of the health of every backend's endpoints, and the core's knowledge of it.

The state machine (`healthcheck.state`) decides; this keeps its states, wakes it when time alone changes something, and
hands its verdicts on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from gateway.configuration.model import Backend
from gateway.core import Core, HealthState
from gateway.lifecycle.log import FIELDS
from healthcheck.state import Ejected, Event, Health, Input, Policy, Tick, Verdict, advance

log = logging.getLogger("tidegate.balance")

_STATES: Mapping[Verdict, HealthState] = {
    Verdict.HEALTHY: "healthy",
    Verdict.UNKNOWN: "unknown",
    Verdict.UNHEALTHY: "unhealthy",
    Verdict.DRAINED: "unhealthy",
}

EndpointsOf = Callable[[str], Sequence[str]]
"""The addresses that a backend has now."""


class HealthBook:
    """All but `run` return at once."""

    def __init__(self, core: Core, endpoints_of: EndpointsOf, now: Callable[[], float] | None = None) -> None:
        self._core = core
        self._endpoints_of = endpoints_of
        self._now = now or asyncio.get_running_loop().time
        self._states: dict[str, dict[str, Health]] = {}
        self._changed = asyncio.Event()

    def commit(self, backends: Sequence[Backend]) -> None:
        """The core now serves these backends; what is known of others is forgotten."""
        names = {known.name for known in backends}
        self._states = {name: states for name, states in self._states.items() if name in names}

    def eject(self, backend: str, address: str, ejected: Ejected) -> None:
        """Outlier detection saw an endpoint fail."""
        self._give(backend, address, ejected, self._now())

    def ejected(self, backend: str) -> frozenset[str]:
        """The addresses whose ejection is not over."""
        states = self._states.get(backend, {})
        return frozenset(address for address, health in states.items() if health.ejected_until is not None)

    def states(self, backend: str) -> tuple[Health, ...]:
        """What is known of a backend's endpoints, where anything ever was."""
        present = set(self._endpoints_of(backend))
        return tuple(health for address, health in self._states.get(backend, {}).items() if address in present)

    async def run(self) -> None:
        """Ends ejections in time, until it is cancelled."""
        while True:
            self._changed.clear()
            due = [health.due for states in self._states.values() for health in states.values()]
            wait = min((time - self._now() for time in due if time is not None), default=None)
            try:
                async with asyncio.timeout(None if wait is None else max(wait, 0.0)):
                    await self._changed.wait()
            except TimeoutError:
                self._tick()

    def _tick(self) -> None:
        now = self._now()
        for backend, states in self._states.items():
            for address, health in tuple(states.items()):
                if health.due is not None and health.due <= now:
                    self._give(backend, address, Tick(), now)
            present = set(self._endpoints_of(backend))
            for address in [address for address in states if address not in present]:
                del states[address]

    def _give(self, backend: str, address: str, given: Input, now: float) -> None:
        states = self._states.setdefault(backend, {})
        before = states.get(address, Health(address))
        after, events = advance(before, given, Policy(), now)
        states[address] = after
        self._changed.set()
        if after.verdict is not before.verdict:
            try:
                self._core.set_health(backend, [(address, _STATES[after.verdict])])
            except KeyError:
                return
        for event in events:
            _say(backend, event)


def _say(backend: str, event: Event) -> None:
    fields = {"backend": backend, "endpoint": event.endpoint, "reason": event.reason, "verdict": str(event.verdict)}
    level = logging.INFO if event.verdict in (Verdict.HEALTHY, Verdict.UNKNOWN) else logging.WARNING
    log.log(level, "Backend %s: %s", backend, event, extra={FIELDS: fields})
