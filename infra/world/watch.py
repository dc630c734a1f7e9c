"""Watches a world: each pod as its kubelet would, all of them as the load balancer does, and the load's own account."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from infra.world.compute import ComputeError
from infra.world.front import HEALTHY
from infra.world.table import GONE, NOT_READY, READY, ClientRow, Picture, PodRow
from infra.world.together import together
from infra.world.twin_pages import NO_TRAFFIC, TwinError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from infra.world.load import LoadGenerator
    from infra.world.pod import Pod
    from infra.world.troubles import Troubles
    from infra.world.world import World

INTERVAL_SECONDS = 1.0


class Watch:
    """`troubles` gets what is wrong with each pod; what an injected fault or a roll-out explains is expected."""

    def __init__(self, world: World, load: LoadGenerator | None, troubles: Troubles) -> None:
        self._world = world
        self._load = load
        self._troubles = troubles
        self._problems: dict[str, str | None] = {}
        self._traffic = NO_TRAFFIC
        self._capacities: Mapping[str, float] = {}

    async def run(self, show: Callable[[Picture], None]) -> None:
        """Looks every second, and shows what there is, until cancelled."""
        look = (self._follow_traffic(), self._follow_capacities(), self._show(show))
        await together(*look, *(self._follow(pod) for pod in self._world.pods))

    def picture(self) -> Picture:
        """What is known now."""
        faults = self._world.faults.active()
        rows = []
        for pod in self._world.pods:
            plan = pod.plan
            seen = self._traffic.endpoints.get(plan.endpoint)
            rows.append(
                PodRow(
                    name=plan.name,
                    region=plan.region,
                    state=self._state(pod),
                    health=seen.health if seen else "",
                    capacity=self._capacities.get(plan.zone, 1.0),
                    requests=seen.requests if seen else 0.0,
                    failures=seen.failures if seen else 0.0,
                    fault=faults.get(plan.name, ""),
                )
            )
        latest = self._load.latest if self._load else {}
        return Picture(tuple(rows), tuple(ClientRow(region, each) for region, each in latest.items()))

    def _state(self, pod: Pod) -> str:
        if pod.is_gone:
            return GONE
        if not pod.is_running:
            return pod.phase.value
        return NOT_READY if self._problems.get(pod.plan.name) else READY

    async def _follow(self, pod: Pod) -> None:
        name = pod.plan.name
        while True:
            if pod.is_running:
                seen, faults = (pod.phase, pod.processes), self._world.faults.active()
                problem = await pod.check()
                # What was seen of a pod that was replaced meanwhile says nothing.
                if (pod.phase, pod.processes) == seen:
                    self._problems[name] = problem
                    expected = name in faults or name in self._world.faults.active()
                    self._troubles.note(name, problem, expected=expected)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def _follow_traffic(self) -> None:
        names = {pod.plan.endpoint: pod.plan.name for pod in self._world.pods}
        while True:
            try:
                self._traffic = await self._world.front.traffic()
            except TwinError:
                # It answers again, or its end is noticed elsewhere.
                await asyncio.sleep(INTERVAL_SECONDS)
                continue
            for endpoint, seen in self._traffic.endpoints.items():
                name = f"{names.get(endpoint, endpoint)} at the load balancer"
                self._troubles.note(name, seen.health if seen.health != HEALTHY else None, expected=True)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def _follow_capacities(self) -> None:
        while True:
            # The API may be told to fail; what it said before holds.
            with contextlib.suppress(ComputeError):
                self._capacities = await self._world.compute.capacities()
            await asyncio.sleep(INTERVAL_SECONDS)

    async def _show(self, show: Callable[[Picture], None]) -> None:
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            show(self.picture())
