"""Starts, replaces and rolls out a world's pods, and keeps the groups of endpoints in step with them.

The order is what makes a roll-out cost no call: a pod is in its group only while it is ready, it ends only after the
load balancer has let go of it, and the next one ends only after the load balancer has taken this one in again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from infra.world.errors import WorldError
from infra.world.pod import Phase
from infra.world.together import together

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from infra.world.endpoint_groups import EndpointGroups
    from infra.world.front import Front
    from infra.world.pod import Pod


class Deployment:
    """`changed` is called when processes are others than before."""

    def __init__(self, pods: Sequence[Pod], groups: EndpointGroups, front: Front, changed: Callable[[], None]) -> None:
        self._pods = {pod.plan.name: pod for pod in pods}
        self._groups = groups
        self._front = front
        self._changed = changed
        self._restarting = {name: asyncio.Lock() for name in self._pods}
        self._rolling = asyncio.Lock()

    async def start(self) -> None:
        """All pods, whose apps run already. WorldError, OSError."""
        await together(*(self._start(pod) for pod in self._pods.values()))

    async def restart(self, name: str) -> None:
        """A pod that may have ended, at the same address; returns when it is ready.

        Nobody took it out of its group: a node that is lost tells nobody. WorldError, OSError: it does not get ready;
        nothing of it is left then.
        """
        async with self._restarting[name]:
            pod = self._pods[name]
            await pod.stop()
            try:
                await pod.start_app()
                await self._start(pod)
            except (WorldError, OSError):
                await pod.stop()
                raise
            self._changed()

    async def roll(self, region: str) -> None:
        """The pods of a region, one after the other. WorldError, OSError."""
        async with self._rolling:
            for pod in self._pods.values():
                if pod.plan.region == region:
                    await self._replace(pod)

    async def _replace(self, pod: Pod) -> None:
        pod.phase = Phase.ENDING
        await self._groups.detach(pod.plan)
        await self._front.left(pod.plan)
        await self.restart(pod.plan.name)
        await self._front.serving([pod.plan])

    async def _start(self, pod: Pod) -> None:
        await pod.start_gateway()
        await self._groups.attach(pod.plan)
