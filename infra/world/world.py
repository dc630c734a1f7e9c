"""A world of several regions behind one load balancer: the one place where its parts meet.

async with World(Settings(directory)) as world: ...
"""

from __future__ import annotations

import os
import shutil
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import aiohttp

from infra.certificates import Authority, new_authority
from infra.faults.control import serve_faults
from infra.faults.injector import Faults
from infra.faults.kinds import HEAL
from infra.faults.target import FaultError
from infra.issuer.keys import DIRECTORY, load_key
from infra.issuer.tokens import Order, mint
from infra.sample import DESCRIPTOR_SET
from infra.world import endpoint_groups, load_balancer, processes
from infra.world.addresses import choose_port, claimed_layout
from infra.world.checks import call_probes
from infra.world.children import ChildError
from infra.world.clusters import DEFAULT_CLUSTERS
from infra.world.compute import Compute
from infra.world.deployment import Deployment
from infra.world.endpoint_groups import EndpointGroups
from infra.world.errors import WorldError
from infra.world.front import Front
from infra.world.group import ProcessGroup
from infra.world.layout import API_HOST, AUDIENCE, DEFAULT_API_PORT, DEFAULT_PORT, PROJECT
from infra.world.load import running_load
from infra.world.pod import Pod
from infra.world.probes import Prober
from infra.world.state import IssuerState, ListenerState, PodState, TwinState, WorldDirectory, WorldState
from infra.world.together import together, unless
from infra.world.twin_pages import TwinPages

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from infra.faults.outcome import Outcome
    from infra.world.clusters import Cluster
    from infra.world.group import Running
    from infra.world.layout import Layout
    from infra.world.load import LoadGenerator
    from infra.world.processes import TwinMaker
    from infra.world.twin_pages import FrontListener


@dataclass(frozen=True, slots=True)
class Settings:
    """`ready_seconds`: for each step of the start, and for the load balancer to follow a change.

    Ports: None for the default or any free one, 0 for any. `propagation_delay`, in seconds: between a change in the
    API and the traffic that follows it.
    """

    directory: Path
    clusters: tuple[Cluster, ...] = DEFAULT_CLUSTERS
    port: int | None = None
    api_port: int | None = None
    propagation_delay: float = 0.0
    ready_seconds: float = 60.0
    make_twin: TwinMaker = processes.twin


class World:
    """All of it is there when the block begins, and nothing of it after the end, however that comes.

    Entering raises WorldError, KeyFileError or OSError; what was started has ended then.
    """

    layout: Layout
    pods: tuple[Pod, ...]
    faults: Faults
    compute: Compute
    """The project in which the load balancer is."""
    front: Front
    listeners: tuple[FrontListener, ...]
    """Of the load balancer, one for each region of clients, in the order of the clusters."""

    def __init__(self, settings: Settings, tell: Callable[[str], None] = lambda _: None) -> None:
        """`tell` gets progress as sentences."""
        self._settings = settings
        self._tell = tell
        self._stack = AsyncExitStack()
        self._group = ProcessGroup(settings.directory.absolute() / "logs", settings.ready_seconds)

    async def __aenter__(self) -> Self:
        started = time.monotonic()
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        self._tell(f"everything is ready after {time.monotonic() - started:.1f} s")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._stack.aclose()

    @property
    def state(self) -> WorldState:
        """What `up.json` says."""
        return _state(self)

    @property
    def api(self) -> str:
        """The URL of the load balancer's project in the Compute API."""
        return self.compute.url

    def token(self, subject: str = "developer", lifetime: float = 3600.0) -> str:
        """A token that the gateways accept, for so many seconds. KeyFileError."""
        order = Order(self.layout.issuer_url, (AUDIENCE,), subject=subject, lifetime=lifetime)
        return mint(order, load_key(self.layout.directory / DIRECTORY, "RS256"), time.time())

    async def fault(self, kind: str, where: str) -> list[Outcome]:
        """Breaks a region or a pod. FaultError."""
        return await self.faults.inject(kind, where)

    async def heal(self, where: str) -> list[Outcome]:
        """Undoes what is broken there. FaultError."""
        return await self.faults.inject(HEAL, where)

    async def roll(self, region: str) -> None:
        """Replaces the pods of a region one by one. WorldError, OSError."""
        await self._deployment.roll(region)

    async def set_capacity(self, region: str, capacity: float) -> None:
        """What part of its capacity the load balancer may use: 0 drains the region. WorldError."""
        zones = [cluster.zone for cluster in self.layout.clusters if cluster.region == region]
        await self.compute.set_capacity(zones, capacity)

    async def check_calls(self) -> list[str]:
        """What is wrong with calls through the load balancer from each region, now."""
        probes = call_probes(self.listeners, self.layout.authority, self.token("tidegate-up"))
        problems = await together(*(self._prober.check(probe) for probe in probes))
        return [f"{probe.name}: {problem}" for probe, problem in zip(probes, problems, strict=True) if problem]

    async def first_end(self) -> ChildError:
        """Waits until a process ends without which nothing can go on."""
        return await self._group.first_end()

    def load(self, rate: float) -> AbstractAsyncContextManager[LoadGenerator]:
        """So many calls a second from all client regions together, until the end of the block. WorldError, OSError."""
        return running_load(self._group, self.layout, self.listeners, rate, lambda: self.token("load"))

    def kill(self) -> None:
        """Ends every process at once."""
        self._group.kill()

    async def _start(self) -> None:
        await self._prepare()
        regions = ", ".join(self.layout.regions)
        pods = "a pod" if len(self.pods) == 1 else f"{len(self.pods)} pods"
        self._tell(f"starting {pods} in {regions}, the issuer, and the twin with its load balancer")
        await together(self._start_issuer(), self._start_twin(), *(pod.start_app() for pod in self.pods))
        # It goes first, so that it never meets pods that are gone.
        self._stack.push_async_callback(self._group.stop, self.twin)
        await unless(self._group.first_end(), self._start_traffic())
        self.faults = Faults(lambda: [pod.target for pod in self.pods], self._restart)
        await self._stack.enter_async_context(serve_faults(self.layout.directory, self.faults))
        self._directory.write(self.state)

    async def _prepare(self) -> None:
        settings, stack = self._settings, self._stack
        self._directory = stack.enter_context(WorldDirectory(settings.directory))
        self.layout = stack.enter_context(claimed_layout(self._directory.path, settings.clusters))
        self._prober = await stack.enter_async_context(Prober())
        self._session = await stack.enter_async_context(aiohttp.ClientSession())
        await stack.enter_async_context(self._group)
        shutil.copyfile(DESCRIPTOR_SET, self.layout.descriptors)
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self.pods = tuple(
            Pod(plan, self.layout, self._group, self._prober, settings.ready_seconds) for plan in self.layout.pods
        )

    async def _start_issuer(self) -> None:
        self.issuer = await self._group.start(processes.issuer(self.layout))

    async def _start_twin(self) -> None:
        settings = self._settings
        api_port = choose_port(settings.api_port, DEFAULT_API_PORT)
        port = choose_port(settings.port, DEFAULT_PORT)
        child = settings.make_twin(self.layout, api_port, port, settings.propagation_delay)
        self.twin: Running = await self._group.start(child)
        url = f"http://{self.twin.address}"
        self.compute = Compute(self._session, f"{url}/compute/v1/projects/{PROJECT}")
        self.front = Front(TwinPages(self._session, url), settings.propagation_delay + settings.ready_seconds)
        self._groups = EndpointGroups(self.compute, self.layout)
        self._deployment = Deployment(self.pods, self._groups, self.front, self._changed)

    async def _start_traffic(self) -> None:
        await self._groups.make()
        await together(self._make_load_balancer(), self._deployment.start())
        self.listeners = await self.front.listening(self.layout.regions)
        await self.front.serving([pod.plan for pod in self.pods])
        if problems := await self.check_calls():
            raise ChildError("\n".join(["calls do not get through:", *problems]))

    async def _make_load_balancer(self) -> None:
        authority = Authority(new_authority("tidegate up"))
        self.layout.authority.write_text(authority.certificate)
        groups = [endpoint_groups.path(zone) for zone in endpoint_groups.zones(self.layout)]
        await self.compute.run(load_balancer.calls(groups, authority.issue(API_HOST)))

    async def _restart(self, name: str) -> None:
        """FaultError: the pod does not start."""
        try:
            await self._deployment.restart(name)
        except (WorldError, OSError) as error:
            raise FaultError(f"it does not start anew: {error}") from None

    def _changed(self) -> None:
        self._directory.write(self.state)


def _state(world: World) -> WorldState:
    layout = world.layout
    return WorldState(
        pid=os.getpid(),
        started=world.started,
        host=API_HOST,
        authority=str(layout.authority),
        listeners=tuple(
            ListenerState(each.client_region, each.address, each.port, each.listen) for each in world.listeners
        ),
        pods=tuple(_pod_state(pod) for pod in world.pods),
        twin=TwinState(f"http://{world.twin.address}", world.api, PROJECT, world.twin.process.pid),
        issuer=IssuerState(layout.issuer_url, layout.jwks_uri, AUDIENCE, world.issuer.process.pid),
        descriptors=str(layout.descriptors),
        control=str(layout.control),
        logs=str(layout.directory / "logs"),
    )


def _pod_state(pod: Pod) -> PodState:
    plan, (app, gateway) = pod.plan, pod.processes
    return PodState(plan.name, plan.region, plan.zone, plan.endpoint, plan.app, plan.admin_url, gateway, app)
