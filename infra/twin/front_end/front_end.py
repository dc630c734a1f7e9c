"""The load balancer's traffic: every forwarding rule, as seen from every client region, in step with the resources.

Two loops: one follows the world, the other looks at demand and health and shares the capacity out anew. Between two
looks the cores act on their own: an endpoint that is found ill gets nothing more from the moment it is found so.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core import CoreEndpoint, CoreFactory, open_core
from gateway.problems import problems_of
from healthcheck.state import Verdict
from infra.ports import is_free
from infra.twin.front_end.capacity import Members, endpoints, let_in, members
from infra.twin.front_end.chain import Chain, Service, chains
from infra.twin.front_end.demand import Rate
from infra.twin.front_end.edge import Edge
from infra.twin.front_end.firewall import Firewalls
from infra.twin.front_end.propagation import Propagation
from infra.twin.front_end.waterfall import Shares, distribute
from infra.twin.places import round_trip
from infra.twin.resources.key import Key
from infra.twin.world import Endpoint, World

log = logging.getLogger("tidegate.twin")

LOOK = 0.25
"""Seconds from one look at demand and health to the next."""

LITTLE = 0.005
"""A share that differs by less stays: with new weights a turn of the round robin begins anew."""

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class FrontEndOptions:
    """`first_port` 0: any. `access_log` is a path, `-` for standard output, or "" for none.

    `enforce_firewalls`: endpoints that the rules of their network keep from the load balancer get nothing.
    """

    client_regions: Sequence[str] = ("us-central1", "europe-west1", "asia-east1")
    first_port: int = 0
    access_log: str = ""
    enforce_firewalls: bool = False


@dataclass(slots=True)
class Front:
    """One forwarding rule as one client region reaches it. `problem`: why it is not served as its resources say."""

    chain: Chain
    edge: Edge
    problem: str = ""


@dataclass(slots=True)
class Flow:
    """What goes from a client region to a backend service, and to each of its endpoints."""

    calls: Rate = field(default_factory=Rate)
    ended: dict[str, Rate] = field(default_factory=dict)
    failed: dict[str, Rate] = field(default_factory=dict)


class FrontEnd:
    """`region_of` names the region of each zone."""

    def __init__(
        self,
        propagation: Propagation,
        options: FrontEndOptions,
        region_of: Mapping[str, str],
        open_core: CoreFactory = open_core,
    ) -> None:
        self._propagation = propagation
        self._options = options
        self._region_of = region_of
        self._open_core = open_core
        self._fronts: dict[tuple[Key, str], Front] = {}
        self._flows: dict[tuple[str, str], Flow] = {}
        self._shares: dict[str, Shares] = {}
        self._ports = 0
        self._refusals: frozenset[str] = frozenset()
        self._firewalls = Firewalls(propagation.world) if options.enforce_firewalls else None
        if self._firewalls is not None:
            propagation.watchers.append(self._firewalls.arrived)
        regions = {*region_of.values(), *options.client_regions}
        self._distances = {(one, other): round_trip(one, other) for one in options.client_regions for other in regions}

    async def run(self) -> None:
        """Carries traffic until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._propagation.run())
            tasks.create_task(self._follow())
            tasks.create_task(self._look())

    async def aclose(self) -> None:
        fronts, self._fronts = self._fronts, {}
        await asyncio.gather(*(front.edge.aclose() for front in fronts.values()))

    def fronts(self) -> Iterator[tuple[str, Front]]:
        """(client region, front), by forwarding rule and then in the order of the regions."""
        order = {client: place for place, client in enumerate(self._options.client_regions)}
        for (_, client), front in sorted(self._fronts.items(), key=lambda entry: (entry[0][0], order[entry[0][1]])):
            yield client, front

    def services(self) -> dict[str, Service]:
        """The backend services that carry traffic, by name."""
        found = (service for front in self._fronts.values() for service in front.chain.services)
        return {service.name: service for service in found}

    def groups(self, service: Service) -> tuple[Members, ...]:
        """The groups of a service, with what is closed to the load balancer."""
        closed = let_in if self._firewalls is None else self._firewalls.closed(service)
        return members(self._world, service.resource, service.key.project, self._region_of, closed)

    def shares(self, service: str, client: str) -> Mapping[str, float]:
        """The fraction of a client region's requests that each group gets."""
        return self._shares.get(service, {}).get(client, {})

    def flow(self, service: str, client: str) -> Flow:
        return self._flows.get((service, client), Flow())

    def verdicts(self, service: str, client: str | None = None) -> dict[str, Verdict]:
        """What most of the front ends, or of those of a client region, know of a service's endpoints, by address."""
        found: dict[str, list[Verdict]] = {}
        for (_, own), front in self._fronts.items():
            if client in (None, own) and front.edge.serves(service):
                for address, verdict in front.edge.verdicts(service).items():
                    found.setdefault(address, []).append(verdict)
        return {address: _most(verdicts) for address, verdicts in found.items()}

    def health(self, group: Key, service: Key | None) -> dict[Endpoint, str]:
        """What getHealth says: HEALTHY, UNHEALTHY, UNKNOWN."""
        names = [str(service)] if service else list(self.services())
        known: dict[str, Verdict] = {}
        for name in names:
            known |= self.verdicts(name)
        closed = self._closed(group, names)
        states: dict[Endpoint, str] = {}
        for endpoint in self._world.endpoints.get(group, {}):
            verdict = Verdict.UNHEALTHY if endpoint.address in closed else known.get(endpoint.address, Verdict.UNKNOWN)
            states[endpoint] = {Verdict.HEALTHY: "HEALTHY", Verdict.UNKNOWN: "UNKNOWN"}.get(verdict, "UNHEALTHY")
        return states

    def _closed(self, group: Key, names: Sequence[str]) -> set[str]:
        """The addresses of a group that are closed to one of these services."""
        if self._firewalls is None:
            return set()
        groups = (of for name, service in self.services().items() if name in names for of in self.groups(service))
        return {address for of in groups if of.name == str(group) for address in of.closed}

    def _tell_refusals(self) -> None:
        """Says once why endpoints get nothing, until it is so no more."""
        if self._firewalls is None:
            return
        groups = ((name, of) for name, service in self.services().items() for of in self.groups(service))
        known = frozenset(f"{name}: {reason}" for name, of in groups for reason in of.closed.values())
        for text in sorted(known - self._refusals):
            log.warning("%s", text)
        self._refusals = known

    @property
    def _world(self) -> World:
        return self._propagation.world

    async def _follow(self) -> None:
        while True:
            await self._propagation.changed.wait()
            self._propagation.changed.clear()
            wanted = {(chain.rule, client): chain for chain in chains(self._world) for client in self._clients()}
            for place in [place for place in self._fronts if place not in wanted]:
                await self._fronts.pop(place).edge.aclose()
            await asyncio.gather(*(self._serve(place, chain) for place, chain in wanted.items()))
            self._tell_refusals()

    def _clients(self) -> Iterable[str]:
        return self._options.client_regions

    async def _serve(self, place: tuple[Key, str], chain: Chain) -> None:
        front = self._fronts.get(place)
        if front is None:
            edge = Edge(place[1], self._listen(), self._options.access_log, self._open_core)
            front = self._fronts[place] = Front(chain, edge)
        found = {
            service.name: self._endpoints(service.name, place[1], self.groups(service), self._healthy(service.name))
            for service in chain.services
        }
        try:
            await front.edge.apply(chain, found)
        except Exception as error:
            problems = problems_of(error)
            if problems is None:
                raise
            front.problem = "; ".join(str(problem) for problem in problems)
            log.warning("%s is not served as its resources say: %s", place[0], front.problem)
            return
        front.chain, front.problem = chain, ""

    def _listen(self) -> str:
        """The next port that is free, or any."""
        if self._options.first_port:
            port, self._ports = self._options.first_port + self._ports, self._ports + 1
            if port <= 65_535 and is_free(HOST, port):
                return f"{HOST}:{port}"
        return f"{HOST}:0"

    def _endpoints(
        self, service: str, client: str, groups: Sequence[Members], healthy: frozenset[str]
    ) -> tuple[CoreEndpoint, ...]:
        return endpoints(client, groups, self.shares(service, client), healthy.__contains__, self._distances)

    def _healthy(self, service: str) -> frozenset[str]:
        return frozenset(address for address, verdict in self.verdicts(service).items() if verdict is Verdict.HEALTHY)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK)
            self._count(time.monotonic())
            for service in self.services().values():
                self._share_out(service)

    def _count(self, now: float) -> None:
        names = self.services()
        self._flows = {place: flow for place, flow in self._flows.items() if place[0] in names}
        for name in names:
            for client in self._clients():
                flow = self._flows.setdefault((name, client), Flow())
                edges = [front.edge for (_, own), front in self._fronts.items() if own == client]
                flow.calls.count(now, sum(edge.calls(name) for edge in edges))
                ended: dict[str, int] = {}
                failed: dict[str, int] = {}
                for edge in edges:
                    for address, tally in edge.tallies(name).items():
                        ended[address] = ended.get(address, 0) + tally.ended
                        failed[address] = failed.get(address, 0) + tally.failed
                _count_each(flow.ended, now, ended)
                _count_each(flow.failed, now, failed)

    def _share_out(self, service: Service) -> None:
        groups, healthy = self.groups(service), self._healthy(service.name)
        demand = {client: self.flow(service.name, client).calls.per_second for client in self._clients()}
        able = [group.group(healthy.__contains__) for group in groups]
        shares = distribute(demand, able, self._distances)
        if set(shares) != set(self._shares.get(service.name, {})) or not _are_close(shares, self._shares[service.name]):
            self._shares[service.name] = shares
        for (_, client), front in self._fronts.items():
            if front.edge.serves(service.name):
                front.edge.set_endpoints(service.name, self._endpoints(service.name, client, groups, healthy))


def _are_close(one: Shares, other: Shares) -> bool:
    clients = {*one, *other}
    return all(
        abs(one.get(client, {}).get(group, 0.0) - other.get(client, {}).get(group, 0.0)) <= LITTLE
        for client in clients
        for group in {*one.get(client, {}), *other.get(client, {})}
    )


def _count_each(rates: dict[str, Rate], now: float, totals: Mapping[str, int]) -> None:
    for address in rates.keys() - totals.keys():
        del rates[address]
    for address, total in totals.items():
        rates.setdefault(address, Rate()).count(now, total)


def _most(verdicts: Sequence[Verdict]) -> Verdict:
    """HEALTHY or what else, as more than half say."""
    healthy = sum(verdict is Verdict.HEALTHY for verdict in verdicts)
    if 2 * healthy > len(verdicts):
        return Verdict.HEALTHY
    others = [verdict for verdict in verdicts if verdict is not Verdict.HEALTHY]
    return max(others, key=others.count)
