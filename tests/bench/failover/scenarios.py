"""The faults that are rehearsed, each with what it may cost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from infra.faults import kinds

REGION = "us-central1"
"""Clients are in all regions; this one is lost."""
POD = f"{REGION}/0"
NOTICED_SECONDS = 3.0
"""Two checks of a second each, and the second before the first of them."""


class World(Protocol):
    """What a scenario needs of `infra.world`."""

    async def fault(self, kind: str, where: str) -> object: ...
    async def heal(self, where: str) -> object: ...
    async def roll(self, region: str) -> None: ...
    async def set_capacity(self, region: str, capacity: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Scenario:
    """`begin` makes the fault and `end` undoes it. `propagates`: traffic follows later, as it is a change in the API.

    `lost`: the region or pod that may get no calls in the end; "" if all do. `within`: seconds until the last call that
    fails begins, at most; None for no such goal. `free`: no call may fail.
    """

    name: str
    title: str
    begin: Callable[[World], Awaitable[object]]
    end: Callable[[World], Awaitable[object]]
    lost: str = REGION
    within: float | None = None
    free: bool = False
    propagates: bool = False


def _fault(kind: str, where: str = REGION) -> Callable[[World], Awaitable[object]]:
    return lambda world: world.fault(kind, where)


async def _heal(world: World) -> None:
    await world.heal(REGION)


async def _nothing(world: World) -> None:
    """A roll-out is over when it is over."""


SCENARIOS = (
    Scenario("kill", "region killed (SIGKILL)", _fault(kinds.KILL), _heal),
    Scenario("hang", "region hung (SIGSTOP)", _fault(kinds.HANG), _heal, within=NOTICED_SECONDS),
    Scenario("not-serving", "region NOT_SERVING", _fault(kinds.NOT_SERVING), _heal, free=True),
    Scenario("partition", "region cut off (packets dropped)", _fault(kinds.PARTITION), _heal, within=NOTICED_SECONDS),
    Scenario("kill-one", "one pod of two killed", _fault(kinds.KILL, POD), _heal, lost=POD),
    Scenario(
        "roll",
        "roll-out, pod by pod",
        lambda world: world.roll(REGION),
        _nothing,
        lost="",
        free=True,
        propagates=True,
    ),
    Scenario(
        "drain",
        "drained by capacityScaler 0",
        lambda world: world.set_capacity(REGION, 0.0),
        lambda world: world.set_capacity(REGION, 1.0),
        free=True,
        propagates=True,
    ),
)
