"""The life of one pod, as a kubelet would lead it: two processes that start, get ready, and end together."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import TYPE_CHECKING

from infra.faults.target import PodTarget
from infra.world import processes
from infra.world.children import describe_exit, failure
from infra.world.gateway import write_configuration
from infra.world.probes import Probe

if TYPE_CHECKING:
    from infra.world.group import ProcessGroup, Running
    from infra.world.layout import Layout, PodPlan
    from infra.world.probes import Prober

RETRY_SECONDS = 0.05


class Phase(Enum):
    """As words for a table."""

    STARTING = "starting"
    RUNNING = "running"
    ENDING = "ending"
    ENDED = "ended"


class Pod:
    """`phase` says where in its life it is."""

    def __init__(
        self, plan: PodPlan, layout: Layout, group: ProcessGroup, prober: Prober, ready_seconds: float
    ) -> None:
        self.plan = plan
        self.phase = Phase.ENDED
        self._layout = layout
        self._group = group
        self._prober = prober
        self._ready_seconds = ready_seconds
        self._app: Running | None = None
        self._gateway: Running | None = None
        self._probe = Probe(plan.name, plan.health_url)

    async def start_app(self) -> None:
        """ChildError: it does not serve. OSError: its folder cannot be written."""
        self.phase = Phase.STARTING
        self.plan.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._app = await self._group.start(processes.app(self.plan))

    async def start_gateway(self) -> None:
        """Returns when the whole pod is ready. ChildError: it is not in time, or has ended. OSError."""
        configuration = write_configuration(self._layout, self.plan)
        self._gateway = await self._group.start(processes.gateway(self.plan, configuration))
        await self._wait_until_ready(self._gateway)
        self.phase = Phase.RUNNING

    async def stop(self) -> None:
        """First the gateway, which lets open calls finish, then the app that answers them."""
        self.phase = Phase.ENDING
        for process in (self._gateway, self._app):
            if process is not None:
                await self._group.stop(process)
        self.phase = Phase.ENDED

    async def check(self) -> str | None:
        """What is wrong with it, None for nothing."""
        for part, code in self._ends():
            return f"its {part} has ended ({describe_exit(code)})"
        return await self._prober.check(self._probe)

    @property
    def is_running(self) -> bool:
        """Whether it was ready, and nobody ends it."""
        return self.phase is Phase.RUNNING

    @property
    def is_gone(self) -> bool:
        """Whether it is not there and nobody starts it: a process has ended on its own, or the last start failed."""
        return self.phase is Phase.ENDED or (self.is_running and bool(self._ends()))

    @property
    def processes(self) -> tuple[int, int]:
        """The ids of the app and of the gateway, the last ones if it has ended; 0 for one that never started."""
        app, gateway = self._app, self._gateway
        return app.process.pid if app else 0, gateway.process.pid if gateway else 0

    @property
    def target(self) -> PodTarget:
        """What faults are done to."""
        app, gateway = self.processes
        return PodTarget(self.plan.name, self.plan.region, app, gateway, self.plan.control, self.is_gone)

    def _ends(self) -> list[tuple[str, int]]:
        """(part, exit status) of its processes that have ended."""
        parts = (("gateway", self._gateway), ("app", self._app))
        return [(part, process.ended.result()) for part, process in parts if process and process.ended.done()]

    async def _wait_until_ready(self, gateway: Running) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._ready_seconds
        while problem := await self._prober.check(self._probe):
            if gateway.ended.done():
                raise gateway.failure()
            if loop.time() > deadline:
                what = f"was not ready after {self._ready_seconds:g} s: {problem}"
                raise failure(gateway.child.name, what, gateway.log)
            await asyncio.sleep(RETRY_SECONDS)
