"""A load balancer's address as the clients of one region reach it: a core, and what its own probes find."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.balance.book import HealthBook
from gateway.balance.checks import Checks, Found
from gateway.balance.outliers import Outliers
from gateway.configuration.model import GatewayConfig
from gateway.core import CoreEndpoint, CoreFactory, EndpointLost, LogLine, NativeProbing, OutlierSeen, read_event
from gateway.snapshot import compile_checks
from healthcheck.state import Observation, Outcome, Verdict
from infra.twin.front_end.chain import Certificate, Chain
from infra.twin.front_end.configuration import LISTENER, configuration, snapshot

log = logging.getLogger("tidegate.twin")

Endpoints = Mapping[str, tuple[CoreEndpoint, ...]]
"""By the name of the backend service."""

LAST_ANSWERS = 1.0
"""Seconds that a front end which is taken away has for what runs there, looked at so often."""
LAST_LOOKS = 50


@dataclass(frozen=True, slots=True)
class Tally:
    """How the calls of an endpoint have ended so far."""

    ended: int = 0
    failed: int = 0


class Edge:
    """`listen` is `host:port`; port 0 stays what it becomes."""

    def __init__(self, client: str, listen: str, access_log: str, open_core: CoreFactory) -> None:
        self._listen = listen
        self._access_log = access_log
        self._core = open_core(1)
        self._book = HealthBook(self._core, self._addresses)
        self._outliers = Outliers(self._core, self._book, self._addresses)
        self._checks = Checks(self._observe, self._core.ended_calls, NativeProbing())
        self._served: dict[str, tuple[CoreEndpoint, ...]] = {}
        self._checked: frozenset[str] = frozenset()
        self._generation = 0
        self._applied: tuple[GatewayConfig, tuple[Certificate, ...] | None] | None = None
        self._tasks = [
            asyncio.create_task(part.run(), name=f"{client}: {type(part).__name__}")
            for part in (self._book, self._outliers, self._checks)
        ]
        asyncio.get_running_loop().add_reader(self._core.event_fd(), self._take_events)
        self.address = ""
        """Where it listens; `` before the first `apply`."""

    async def apply(self, chain: Chain, endpoints: Endpoints) -> None:
        """Serves a chain without losing a request of the former one. The former stays where it cannot be served.

        ConfigurationError, SnapshotError, OSError.
        """
        config = configuration(chain, self._listen, self._access_log)
        if (config, chain.certificates) == self._applied:
            for service, known in endpoints.items():
                self.set_endpoints(service, known)
            return
        requests = compile_checks(config)
        addresses = {name: [address for address, *_ in known] for name, known in endpoints.items()}
        await self._checks.prepare(config.backends, requests, addresses)
        self._book.prepare(config.backends)
        self._generation += 1
        former = self._served
        # The core knows no more of a service that goes from the moment of the swap, and nobody is told of that moment.
        self._served = {name: known for name, known in former.items() if name in endpoints}
        try:
            document = snapshot(chain, config, str(self._generation), endpoints)
            await asyncio.to_thread(self._core.apply, document)
        except Exception:
            self._served = former
            self._checks.abandon()
            self._book.abandon()
            raise
        found = _counted(self._checks.commit())
        self._applied = (config, chain.certificates)
        self._served = dict(endpoints)
        self._checked = frozenset(known.name for known in config.backends if known.health_check is not None)
        self._book.commit(config.backends, found)
        self._outliers.commit(config.backends)
        self.address = dict(self._core.listeners())[LISTENER]
        for name, present in addresses.items():
            self._checks.follow(name, present, None)
            self._book.follow(name, present, None)

    def set_endpoints(self, service: str, endpoints: tuple[CoreEndpoint, ...]) -> None:
        """Other endpoints, or other weights, for a service that is served; what runs finishes."""
        former = {endpoint[0]: endpoint for endpoint in self._served.get(service, ())}
        changed = [endpoint for endpoint in endpoints if former.get(endpoint[0]) != endpoint]
        gone = former.keys() - {endpoint[0] for endpoint in endpoints}
        if not changed and not gone:
            return
        self._core.change_endpoints(service, changed, sorted(gone))
        self._served[service] = endpoints
        added = [address for address, *_ in changed if address not in former]
        if added or gone:
            self._checks.follow(service, added, gone)
            self._book.follow(service, added, gone)

    def serves(self, service: str) -> bool:
        return service in self._served

    def verdicts(self, service: str) -> Mapping[str, Verdict]:
        """What is known of a service's endpoints, by address."""
        if service not in self._checked:
            return dict.fromkeys(self._addresses(service), Verdict.HEALTHY)
        known = {health.endpoint: health.verdict for health in self._book.states(service)}
        return {address: known.get(address, Verdict.UNKNOWN) for address in self._addresses(service)}

    def calls(self, service: str) -> int:
        """Calls to a service that have ended since the start."""
        return self._core.ended_calls(service)

    def tallies(self, service: str) -> Mapping[str, Tally]:
        if service not in self._served:
            return {}
        return {
            address: Tally(answered + erred + failed, erred + failed)
            for address, answered, erred, failed in self._core.tallies(service)
        }

    async def aclose(self) -> None:
        """Takes nothing new, and ends."""
        asyncio.get_running_loop().remove_reader(self._core.event_fd())
        self._core.close_connections()
        for _ in range(LAST_LOOKS):
            if not self._core.active_streams():
                break
            await asyncio.sleep(LAST_ANSWERS / LAST_LOOKS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._checks.aclose()
        await asyncio.to_thread(self._core.stop)

    def _observe(self, found: Sequence[Found]) -> None:
        self._book.observe(_counted(found))

    def _addresses(self, service: str) -> tuple[str, ...]:
        return tuple(address for address, *_ in self._served.get(service, ()))

    def _take_events(self) -> None:
        for text in self._core.poll_events():
            match read_event(text):
                case OutlierSeen() as seen:
                    self._outliers.seen(seen)
                case LogLine(severity, message):
                    log.log(logging.getLevelNamesMapping().get(severity, logging.WARNING), "%s", message)
                case EndpointLost():
                    pass


_SAID = (Outcome.NOT_SERVING, Outcome.SERVICE_UNKNOWN, Outcome.UNKNOWN, Outcome.HTTP_STATUS)


def _counted(found: Sequence[Found]) -> list[Found]:
    """Google's probers count every answer but a good one to the threshold, an app's own word too."""
    return [(service, address, tuple(_count(one) for one in seen)) for service, address, seen in found]


def _count(seen: Observation) -> Observation:
    return replace(seen, outcome=Outcome.CALL_FAILED) if seen.outcome in _SAID else seen
