"""Active health checks: keeps the core's prober in step with discovery, and hands on what it finds.

A configuration is taken over as everywhere else: `prepare`, the core swaps, `commit` or `abandon`. Endpoints that are
new are asked in `prepare` already, so that a start and a reload know who serves before the first call; what was found
of them is held back until `commit`.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.configuration.model import Backend, HealthCheck
from gateway.configuration.quantities import join_host_port, split_host_port
from gateway.core import Prober, Probing
from healthcheck.state import Observation, Outcome

FIRST_ROUND_AT_MOST = 5.0
FIRST_ROUND_SPREAD = 1.5
"""Seconds beyond the time-out that a first round may take: the prober spreads it over one (probe/prober.rs)."""

TRAFFIC_INTERVAL = 1.0
"""Seconds from one look at how many calls there were to the next."""

Found = tuple[str, str, tuple[Observation, ...]]
"""(backend, address, what was seen of it since, the oldest first)."""

_PASSES = (Outcome.SERVING, Outcome.UNIMPLEMENTED)


class Checks:
    """All but `prepare` and `run` return at once; `aclose` ends the prober's thread."""

    def __init__(
        self, observe: Callable[[Sequence[Found]], None], ended_calls: Callable[[str], int], probing: Probing
    ) -> None:
        """`observe` is told what is found of backends that are served; `ended_calls` counts a backend's calls."""
        self._observe = observe
        self._ended_calls = ended_calls
        self._probing = probing
        self._prober: Prober | None = None
        self._served: dict[str, _Group] = {}
        self._prepared: dict[str, _Group] = {}
        self._servers: dict[int, _Server] = {}
        self._next = 0
        self._past: dict[str, Counter[str]] = {}

    async def prepare(
        self, backends: Iterable[Backend], requests: Mapping[str, bytes], endpoints: Mapping[str, Iterable[str]]
    ) -> None:
        """Begins to check the endpoints (addresses by backend) that are new; returns when each was asked once.

        Bounded by the longest time-out and FIRST_ROUND_AT_MOST. `requests` are those of `compile_checks`.
        """
        waiting: set[asyncio.Event] = set()
        longest = 0.0
        for backend in backends:
            check = backend.health_check
            if check is None:
                continue
            group = self._served.get(backend.name)
            request = requests[backend.name]
            if group is None or (group.check, group.request) != (check, request):
                plan = await asyncio.to_thread(self._probing.plan, request)
                group = _Group(backend.name, check, request, plan, self._ended_calls(backend.name))
            self._prepared[backend.name] = group
            for address in endpoints.get(backend.name, ()):
                if address not in group.numbers:
                    group.held[address] = []
                    waiting.add(self._add(group, address).asked)
            longest = max(longest, check.timeout)
        try:
            async with asyncio.timeout(min(FIRST_ROUND_AT_MOST, longest + FIRST_ROUND_SPREAD)):
                for asked in waiting:
                    await asked.wait()
        except TimeoutError:
            pass

    def commit(self) -> list[Found]:
        """The core now serves what was prepared. Returns what has been found of it so far."""
        kept = {id(group) for group in self._prepared.values()}
        for name, group in self._served.items():
            if id(group) not in kept:
                self._end(group)
            if name not in self._prepared:
                self._past.pop(name, None)
        self._served, self._prepared = self._prepared, {}
        found: list[Found] = []
        for group in self._served.values():
            found += [(group.backend, address, tuple(seen)) for address, seen in group.held.items() if seen]
            group.held.clear()
        return found

    def abandon(self) -> None:
        """The core refused what was prepared."""
        for name, group in self._prepared.items():
            if group is not self._served.get(name):
                self._end(group)
            for address in tuple(group.held):
                self._remove(group, address)
        self._prepared = {}

    def follow(self, backend: str, added: Iterable[str], gone: Iterable[str] | None) -> None:
        """A served backend has other endpoints. `gone` None: `added` are all that there are."""
        group = self._served.get(backend)
        if group is None:
            return
        if gone is None:
            added = dict.fromkeys(added)
            gone = [address for address in group.numbers if address not in added]
        for address in tuple(gone):
            self._remove(group, address)
        for address in added:
            group.held.pop(address, None)
            if address not in group.numbers:
                self._add(group, address)

    def probes(self) -> dict[str, dict[str, int]]:
        """How many checks of each served backend ended how, since the start."""
        return {
            name: dict(self._past.get(name, Counter()) + Counter(self._probing.counts(group.plan)))
            for name, group in self._served.items()
        }

    async def run(self) -> None:
        """Looks after backends without calls, until it is cancelled."""
        clock = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TRAFFIC_INTERVAL)
            for group in self._served.values():
                quiet = group.is_quiet(self._ended_calls(group.backend), clock.time())
                if self._prober is not None:
                    self._prober.set_quiet(group.plan, quiet)

    def aclose(self) -> None:
        """Ends all checks."""
        if self._prober is not None:
            asyncio.get_running_loop().remove_reader(self._prober.event_fd())
        self._prober = None

    def _add(self, group: _Group, address: str) -> _Server:
        if self._prober is None:
            self._prober = self._probing.open()
            asyncio.get_running_loop().add_reader(self._prober.event_fd(), self._take)
        self._next += 1
        server = self._servers[self._next] = _Server(group, address)
        group.numbers[address] = self._next
        check = group.check
        self._prober.set(
            self._next, group.plan, with_port(address, check.port), check.healthy_threshold, check.unhealthy_threshold
        )
        return server

    def _remove(self, group: _Group, address: str) -> None:
        group.held.pop(address, None)
        number = group.numbers.pop(address, None)
        if number is not None and self._prober is not None:
            self._prober.remove(number)
            del self._servers[number]

    def _end(self, group: _Group) -> None:
        self._past.setdefault(group.backend, Counter()).update(self._probing.counts(group.plan))
        for address in tuple(group.numbers):
            self._remove(group, address)

    def _take(self) -> None:
        if self._prober is None:
            return
        found: list[Found] = []
        for number, streak, watched, report in self._prober.poll_events():
            server = self._servers.get(number)
            if server is None:
                continue
            seen = server.read(streak, watched, json.loads(report))
            held = server.group.held.get(server.address)
            if held is None:
                found.append((server.group.backend, server.address, seen))
            else:
                held += seen
            server.asked.set()
        if found:
            self._observe(found)


@dataclass(slots=True)
class _Group:
    """The endpoints of one backend that are checked in one way. `held`: what was found of those not served yet."""

    backend: str
    check: HealthCheck
    request: bytes
    plan: Any
    calls: int
    called_at: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    numbers: dict[str, int] = field(default_factory=dict)
    held: dict[str, list[Observation]] = field(default_factory=dict)

    def is_quiet(self, calls: int, now: float) -> bool:
        """Whether there was no call for `no_traffic_interval`; `calls` have ended so far."""
        if calls != self.calls:
            self.calls, self.called_at = calls, now
        return now - self.called_at >= self.check.no_traffic_interval


@dataclass(slots=True)
class _Server:
    """An endpoint that the prober asks. `streak` findings in a row have been handed on that passed, or did not."""

    group: _Group
    address: str
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    passes: bool | None = None
    streak: int = 0

    def read(self, streak: int, watched: bool, report: Mapping[str, Any]) -> tuple[Observation, ...]:
        """What an event stands for: the prober leaves out what it would only repeat, and says how long the row is."""
        outcome, detail = Outcome(report["outcome"]), str(report["text"])
        passes = outcome in _PASSES
        before = self.streak if passes is self.passes else 0
        self.passes, self.streak = passes, streak
        if outcome is Outcome.UNIMPLEMENTED:
            outcome, detail = Outcome.SERVING, "it answers, and has no grpc.health.v1 to say more"
        check = self.group.check
        times = min(max(1, streak - before), check.healthy_threshold if passes else check.unhealthy_threshold)
        return (Observation(outcome, detail, watched),) * times


def with_port(address: str, port: int | None) -> str:
    """`address` with another port, if one is given and it has any."""
    if port is None or address.startswith("unix:"):
        return address
    return join_host_port(split_host_port(address)[0], port)


def addresses(endpoints: Mapping[str, Iterable[tuple[Any, ...]]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """(backend, its addresses) of what discovery found, each endpoint a tuple that begins with its address."""
    for backend, found in endpoints.items():
        yield backend, tuple(endpoint[0] for endpoint in found)
