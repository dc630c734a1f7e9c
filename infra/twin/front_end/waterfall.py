"""Which groups of endpoints carry whose traffic: Google's `WATERFALL_BY_REGION`.

Each client region's requests go to the nearest region that has healthy endpoints and capacity left; what exceeds its
capacity goes to the next nearest. Within a region groups are filled in proportion to their capacities. Groups that are
preferred are filled, the nearest first, before any other gets a request. Capacity is a target, not a limit: when all of
it is used, what is left is spread over all groups in proportion to their capacities.

Where two client regions want the same capacity, the nearer one has it; at the same distance they share it in
proportion to what they still want. That is what the load balancer's many front ends come to together, since each
first looks near.

Sources: Google's documentation of service load balancing policies (the default algorithm and preferred backends).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

LITTLE = 1e-9
"""Requests per second that are none."""


@dataclass(frozen=True, slots=True)
class Group:
    """`capacity` in requests per second: of its healthy endpoints, with the scaler counted in."""

    name: str
    region: str
    capacity: float
    preferred: bool = False


Distances = Mapping[tuple[str, str], float]
"""Milliseconds from a client region to a region."""

Shares = Mapping[str, Mapping[str, float]]
"""By client region, the fraction of its requests that each group gets; empty where there is no capacity at all."""


def distribute(demand: Mapping[str, float], groups: Sequence[Group], distances: Distances) -> Shares:
    """`demand` in requests per second by client region; one without requests gets the shares of its first request."""
    usable = [group for group in groups if group.capacity > LITTLE]
    left = {group.name: group.capacity for group in usable}
    wanted = {client: max(requests, LITTLE) for client, requests in demand.items()}
    given: dict[str, dict[str, float]] = {client: {} for client in demand}
    for step in _steps(wanted, usable, distances):
        _pour(step, wanted, left, given)
    total = sum(group.capacity for group in usable)
    for client, rest in wanted.items():
        for group in usable if rest > 0 else ():
            _add(given[client], group.name, rest * group.capacity / total)
    return {client: _fractions(by_group) for client, by_group in given.items()}


Step = Sequence[tuple[str, Sequence[Group]]]
"""(client region, groups of one region) at the same distance."""


def _steps(clients: Mapping[str, float], groups: Sequence[Group], distances: Distances) -> Iterator[Step]:
    """The order in which capacity is taken: preferred groups first, then by distance."""
    for preferred in (True, False):
        chosen: dict[str, list[Group]] = {}
        for group in groups:
            if group.preferred == preferred:
                chosen.setdefault(group.region, []).append(group)
        pairs = sorted(
            (distances.get((client, region), 0.0), region, client) for client in clients for region in chosen
        )
        for _, same in groupby(pairs, key=lambda pair: pair[:2]):
            yield [(client, chosen[region]) for _, region, client in same]


def _pour(step: Step, wanted: dict[str, float], left: dict[str, float], given: dict[str, dict[str, float]]) -> None:
    """Gives the clients of a step what is left in its region, which is the same for all of them."""
    groups = step[0][1]
    asked = sum(wanted[client] for client, _ in step)
    room = sum(left[group.name] for group in groups)
    capacity = sum(group.capacity for group in groups)
    if asked <= 0 or room <= 0:
        return
    taken = min(1.0, room / asked)
    for client, _ in step:
        requests = wanted[client] * taken
        wanted[client] -= requests
        for group in groups:
            _add(given[client], group.name, requests * group.capacity / capacity)
    for group in groups:
        left[group.name] -= asked * taken * group.capacity / capacity


def _add(given: dict[str, float], name: str, requests: float) -> None:
    given[name] = given.get(name, 0.0) + requests


def _fractions(given: Mapping[str, float]) -> Mapping[str, float]:
    total = sum(given.values())
    return {name: requests / total for name, requests in given.items()} if total > 0 else {}
