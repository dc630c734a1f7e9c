"""Brings a world up, watches over it and takes it down: the one place where its parts meet."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from infra.issuer.keys import DIRECTORY, KeyFileError, load_key
from infra.issuer.tokens import Order, mint
from infra.sample import DESCRIPTOR_SET
from infra.world import layout
from infra.world.children import ChildError
from infra.world.group import ProcessGroup
from infra.world.layout import AUDIENCE, HOST, GatewayPlan
from infra.world.monitor import Monitor
from infra.world.probes import Prober
from infra.world.state import GatewayState, IssuerState, PodState, WorldState

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path
    from typing import Any

    from infra.world.group import Running
    from infra.world.layout import GatewayMaker
    from infra.world.probes import Probe

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Settings:
    """`ready_seconds`: for each step of the start; `seconds`: to serve once all is ready, None until a signal comes.

    `directory` is the caller's alone.
    """

    directory: Path
    port: int
    admin_port: int
    ready_seconds: float
    seconds: float | None
    make_gateway: GatewayMaker


@dataclass(frozen=True, slots=True)
class Listener:
    """`tell` gets progress and troubles as sentences, `ready` the addresses once everything serves."""

    tell: Callable[[str], None]
    ready: Callable[[WorldState], None]


async def run_world(settings: Settings, listener: Listener) -> list[str]:
    """Runs until the time is over, a signal comes or a part fails; returns what was ever wrong, empty for nothing.

    BrokenPipeError: nobody reads what the listener has to say.
    """
    stop = asyncio.Event()
    async with ProcessGroup(settings.directory / "logs", settings.ready_seconds) as group, Prober() as prober:
        _on_signals(stop, group)
        world = _World(settings, listener, group, Monitor(prober, listener.tell))
        life = asyncio.create_task(world.live())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({life, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            listener.tell("stopping; a second signal ends everything at once")
        stopped.cancel()
        life.cancel()
        (outcome,) = await asyncio.gather(life, return_exceptions=True)
    match outcome:
        case None | asyncio.CancelledError():
            return world.troubles()
        case BrokenPipeError():
            raise outcome
        case ChildError() | KeyFileError() | OSError():
            return [str(outcome)]
    raise outcome


class _World:
    def __init__(self, settings: Settings, listener: Listener, group: ProcessGroup, monitor: Monitor) -> None:
        self._settings = settings
        self._listener = listener
        self._group = group
        self._monitor = monitor
        self._is_ready = False

    async def live(self) -> None:
        started = time.monotonic()
        pods, issuer = await self._start_apps()
        plan = GatewayPlan(
            port=self._settings.port,
            admin_port=self._settings.admin_port,
            directory=self._settings.directory,
            pods={service: tuple(pod.address for pod in running) for service, running in pods.items()},
            issuer_url=f"http://{issuer.address}",
        )
        shutil.copyfile(DESCRIPTOR_SET, plan.descriptors)
        gateway = await self._group.start(self._settings.make_gateway(plan))
        try:
            probes = layout.gateway_probes(plan)
            for service, running in pods.items():
                probes += layout.pod_probes(service, {pod.child.name: pod.address for pod in running})
            await self._or_child_ends(self._wait_for(probes + self._call_probes(plan)))
            self._is_ready = True
            self._listener.tell(f"everything is ready after {time.monotonic() - started:.1f} s")
            self._listener.ready(_state(plan, gateway, issuer, pods))
            await self._or_child_ends(self._follow(probes))
            await self._monitor.look(self._call_probes(plan))
        finally:
            # First the gateway, so that it never meets pods that are gone.
            await self._group.stop(gateway)

    def troubles(self) -> list[str]:
        if not self._is_ready:
            return ["stopped before everything was ready"]
        return [f"{name}: {problem}" for name, problem in self._monitor.troubles.items()]

    async def _start_apps(self) -> tuple[dict[str, list[Running]], Running]:
        children = [layout.pod(service, name) for service, names in layout.PODS.items() for name in names]
        children.append(layout.issuer(self._settings.directory))
        self._listener.tell(f"starting {', '.join(child.name for child in children)} and the gateway")
        running = await asyncio.gather(*(self._group.start(child) for child in children))
        by_name = {each.child.name: each for each in running}
        return {service: [by_name[name] for name in names] for service, names in layout.PODS.items()}, running[-1]

    async def _wait_for(self, probes: list[Probe]) -> None:
        seconds = self._settings.ready_seconds
        missing = await self._monitor.wait_until_healthy(probes, seconds)
        if missing:
            raise ChildError("\n".join([f"not ready after {seconds:g} s:", *missing]))

    async def _follow(self, probes: list[Probe]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.seconds):
                await self._monitor.follow(probes)

    async def _or_child_ends(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of `work`, unless a child ends first, which is an error."""
        working = asyncio.create_task(work)
        ending = asyncio.create_task(self._group.first_end())
        try:
            await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise ending.result()
            return working.result()
        finally:
            working.cancel()
            ending.cancel()

    def _call_probes(self, plan: GatewayPlan) -> list[Probe]:
        order = Order(plan.issuer_url, (AUDIENCE,), subject="tidegate-up", lifetime=60.0)
        token = mint(order, load_key(self._settings.directory / DIRECTORY, "RS256"), time.time())
        return layout.call_probes(plan, token)


def _state(plan: GatewayPlan, gateway: Running, issuer: Running, pods: dict[str, list[Running]]) -> WorldState:
    return WorldState(
        pid=os.getpid(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        gateway=GatewayState(f"{HOST}:{plan.port}", plan.url, plan.admin_url, gateway.process.pid),
        issuer=IssuerState(plan.issuer_url, plan.jwks_uri, AUDIENCE, issuer.process.pid),
        services={
            service: tuple(PodState(pod.child.name, pod.address, pod.process.pid) for pod in running)
            for service, running in pods.items()
        },
        descriptors=str(plan.descriptors),
        logs=str(gateway.log.parent),
    )


def _on_signals(stop: asyncio.Event, group: ProcessGroup) -> None:
    def stop_or_kill() -> None:
        if stop.is_set():
            group.kill()
        stop.set()

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        # `nohup` and shells' background jobs ask for some to be ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, stop_or_kill)
