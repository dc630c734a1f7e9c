"""How much each group of a backend service may carry, and what that makes of its endpoints in the core.

Within a group the endpoints share evenly. Groups that the waterfall gives nothing stand behind, the nearest first, for
the moment between the death of a whole group and the next look at the demand: the core goes on to them by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core import CoreEndpoint
from infra.twin.front_end.waterfall import Distances, Group
from infra.twin.resources.key import Key, parse
from infra.twin.world import Endpoint, World

Json = Mapping[str, Any]

Closed = Callable[[Key, Endpoint], str]
"""Why nothing may be sent to an endpoint of a group; `` where it may."""

WHOLE = 10_000
"""The weights of all endpoints of a service sum up to about this, so that a share is exact to a hundredth percent."""

FINE = 100
"""But to no less than so much for each endpoint, so that a share that many divide is not rounded to more or less."""


@dataclass(frozen=True, slots=True)
class Members:
    """A group of a backend service. `rate` is for each endpoint, in requests per second; None: `total` is for all.

    `closed` says why nothing may be sent to some of the addresses.
    """

    name: str
    region: str
    rate: float | None
    total: float
    scaler: float
    preferred: bool
    addresses: tuple[str, ...]
    closed: Mapping[str, str] = field(default_factory=dict)

    @property
    def reachable(self) -> tuple[str, ...]:
        return tuple(address for address in self.addresses if address not in self.closed)

    def group(self, is_healthy: Callable[[str], bool]) -> Group:
        """Google counts what its healthy endpoints can carry; a total holds while there is one."""
        healthy = sum(is_healthy(address) for address in self.reachable)
        whole = self.rate * healthy if self.rate is not None else self.total * min(1, healthy)
        return Group(self.name, self.region, whole * self.scaler, self.preferred)


def let_in(_group: Key, _endpoint: Endpoint) -> str:
    """Nothing is closed."""
    return ""


def members(
    world: World, service: Json, project: str, region_of: Mapping[str, str], closed: Closed = let_in
) -> tuple[Members, ...]:
    """The groups of a backend service with their endpoints; `region_of` a zone."""
    found = []
    for backend in service.get("backends", ()):
        key = parse(backend["group"], project)
        rate = backend.get("maxRatePerEndpoint")
        of = world.endpoints.get(key, {})
        found.append(
            Members(
                name=str(key),
                region=region_of.get(key.location, key.location),
                rate=None if rate is None else float(rate),
                total=float(backend.get("maxRate", 0.0)),
                scaler=float(backend["capacityScaler"]),
                preferred=backend.get("preference") == "PREFERRED",
                addresses=tuple(endpoint.address for endpoint in of),
                closed={endpoint.address: reason for endpoint in of if (reason := closed(key, endpoint))},
            )
        )
    return tuple(found)


def endpoints(
    client: str,
    groups: Sequence[Members],
    shares: Mapping[str, float],
    is_healthy: Callable[[str], bool],
    distances: Distances,
) -> tuple[CoreEndpoint, ...]:
    """What the core of a client region is given. Groups whose scaler is 0 are drained: they get nothing new, what runs
    there may take its time.

    An address that stands in several groups has the sum of its weights, in the best of its places.
    """
    behind = sorted(
        {
            (not group.preferred, distances.get((client, group.region), 0.0), group.region)
            for group in groups
            if group.scaler > 0 and not shares.get(group.name)
        }
    )
    whole = max(WHOLE, FINE * sum(len(group.addresses) for group in groups))
    places: dict[str, tuple[int, int]] = {}
    """(priority, weight) by address."""
    for group in sorted(groups, key=lambda group: group.scaler <= 0):
        if group.scaler <= 0:
            for address in group.reachable:
                places.setdefault(address, (0, 0))
            continue
        share = shares.get(group.name, 0.0)
        able = sum(is_healthy(address) for address in group.reachable) or len(group.reachable)
        weight = max(1, round(share * whole / max(1, able)))
        priority = 0
        if not share:
            place = (not group.preferred, distances.get((client, group.region), 0.0), group.region)
            priority = 1 + behind.index(place)
        for address in group.reachable:
            former_priority, former_weight = places.get(address, (priority + 1, 0))
            if former_priority > priority:
                places[address] = (priority, weight)
            elif former_priority == priority:
                places[address] = (priority, former_weight + weight)
    return tuple((address, weight, priority, 0) for address, (priority, weight) in places.items())
