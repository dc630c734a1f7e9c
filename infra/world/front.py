"""Waits for the load balancer to do what it was told: that takes as long as the propagation delay, and its checks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from infra.world.errors import WorldError

if TYPE_CHECKING:
    from collections.abc import Collection

    from infra.world.layout import PodPlan
    from infra.world.twin_pages import FrontListener, Traffic, TwinPages

LOOK_SECONDS = 0.1
HEALTHY = "HEALTHY"


class FrontError(WorldError):
    """The load balancer has not come to a state in time; the message says what is still missing."""


class Front:
    """The load balancer as the twin's pages tell of it. `patience` is in seconds; every wait may raise WorldError."""

    def __init__(self, pages: TwinPages, patience: float) -> None:
        self._pages = pages
        self._patience = patience

    async def traffic(self) -> Traffic:
        """WorldError."""
        return await self._pages.traffic()

    async def listening(self, regions: Collection[str]) -> tuple[FrontListener, ...]:
        """The listeners, in the order of `regions`, once clients in each have one that is ready. FrontError."""
        wait = _Patience(self._patience)
        while True:
            ready = {each.client_region: each for each in await self._pages.listeners() if each.ready}
            missing = [region for region in regions if region not in ready]
            if not missing:
                return tuple(ready[region] for region in regions)
            await wait.a_little(f"the load balancer serves no clients in {', '.join(missing)}")

    async def serving(self, pods: Collection[PodPlan]) -> None:
        """Returns when it holds all these pods for healthy. FrontError."""
        wait = _Patience(self._patience)
        while True:
            endpoints = (await self._pages.traffic()).endpoints
            missing = [
                f"{pod.name} ({endpoints[pod.endpoint].health if pod.endpoint in endpoints else 'unknown to it'})"
                for pod in pods
                if pod.endpoint not in endpoints or endpoints[pod.endpoint].health != HEALTHY
            ]
            if not missing:
                return
            await wait.a_little(f"the load balancer does not hold for healthy: {', '.join(missing)}")

    async def left(self, pod: PodPlan) -> None:
        """Returns when it sends nothing more to a pod. FrontError."""
        wait = _Patience(self._patience)
        while pod.endpoint in (await self._pages.traffic()).endpoints:
            await wait.a_little(f"the load balancer still has {pod.name}")


class _Patience:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = asyncio.get_running_loop().time() + seconds

    async def a_little(self, missing: str) -> None:
        if asyncio.get_running_loop().time() > self._deadline:
            raise FrontError(f"not after {self._seconds:g} s: {missing}")
        await asyncio.sleep(LOOK_SECONDS)
