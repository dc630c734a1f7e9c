"""Real pods: the sample app with a gateway before it, each a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from ruamel.yaml import YAML

from infra.faults.injector import Faults
from infra.faults.target import PodTarget
from infra.sample import ECHO
from infra.sample.messages import method_of
from infra.world.children import Child, ChildError, python_module
from infra.world.group import ProcessGroup, Running
from tests.support.ports import free_port
from tests.support.waiting import LONG_SECONDS

HOST = "127.77.0.1"
"""Nobody's connections take ports of it while a pod is started anew."""
SHORT_SECONDS = 0.4
"""So long a test waits to see that something does not happen."""


class Pods:
    """Pods by name, and their faults. `start` returns when the pod's app serves."""

    def __init__(self, group: ProcessGroup, folder: Path) -> None:
        self._group = group
        self._folder = folder
        self._apps: dict[str, Running] = {}
        self.targets: dict[str, PodTarget] = {}
        self.restarted: list[str] = []
        self.does_start = True
        self.faults = Faults(self.known, self.restart)

    def known(self) -> list[PodTarget]:
        return [
            replace(target, is_gone=name in self._apps and self._apps[name].ended.done())
            for name, target in self.targets.items()
        ]

    async def start(self, name: str) -> PodTarget:
        """One process is both app and gateway."""
        running = await self._app(name)
        return self._add(name, running, running.process.pid)

    async def start_with_gateway(self, name: str) -> str:
        """The gateway's address, which answers."""
        app = await self._app(name)
        address = f"{HOST}:{free_port(HOST)}"
        path = self._folder / "gateway.yaml"
        YAML(typ="safe", pure=True).dump(_gateway(address, app.address), path)
        command = python_module("infra.cli.main", "gateway", "--config", str(path))
        gateway = await self._group.start(Child(f"gateway-{len(self._apps)}", command))
        self._add(name, app, gateway.process.pid)
        async with grpc.aio.insecure_channel(address) as channel:
            await echo(channel, wait_for_ready=True)
        return address

    async def restart(self, name: str) -> None:
        await self._apps[name].ended
        if not self.does_start:
            raise ChildError("it was not ready")
        self.restarted.append(name)
        await self.start(name)

    def channel(self, name: str) -> grpc.aio.Channel:
        """To the app."""
        return grpc.aio.insecure_channel(self.address(name), [("grpc.use_local_subchannel_pool", 1)])

    def address(self, name: str) -> str:
        return self._apps[name].address

    async def ended(self, name: str) -> int:
        """The app's exit status."""
        return await self._apps[name].ended

    async def _app(self, name: str) -> Running:
        control = self._folder / f"{name.replace('/', '-')}.sock"
        address = self._apps[name].address if name in self._apps else f"{HOST}:0"
        options = ("--service", ECHO, "--name", name, "--control", str(control), "--address", address)
        child = Child(name.replace("/", "-"), python_module("infra.sample", *options), announces=True)
        self._apps[name] = await self._group.start(child)
        return self._apps[name]

    def _add(self, name: str, app: Running, gateway: int) -> PodTarget:
        control = self._folder / f"{name.replace('/', '-')}.sock"
        self.targets[name] = PodTarget(name, name.partition("/")[0], app.process.pid, gateway, control)
        return self.targets[name]


@contextlib.asynccontextmanager
async def running_pods(folder: Path) -> AsyncIterator[Pods]:
    async with ProcessGroup(folder / "logs", LONG_SECONDS) as group:
        pods = Pods(group, folder)
        try:
            yield pods
        finally:
            # One that hangs would hear of its end only by SIGKILL.
            for pod in pods.targets.values():
                for process in pod.processes:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGCONT)


def _gateway(address: str, app: str) -> dict[str, Any]:
    return {
        "apiVersion": "tidegate.dev/v1",
        "kind": "Gateway",
        "metadata": {"name": "sidecar"},
        "spec": {
            "listeners": [{"name": "main", "address": address}],
            "admin": {"port": free_port()},
            "drain": {"delay": "0s", "grace": "1s"},
            "backends": [{"name": "app", "targets": [app]}],
            "routes": [{"name": "all", "match": {}, "backends": [{"name": "app"}]}],
        },
    }


async def echo(channel: grpc.aio.Channel, seconds: float = LONG_SECONDS, *, wait_for_ready: bool = False) -> str:
    """The name of the pod that answered. AioRpcError."""
    method = method_of(ECHO)
    send: grpc.aio.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
        method.path, lambda message: message.SerializeToString(), method.response.FromString
    )
    calling = send(method.request(content="hello"), timeout=seconds, wait_for_ready=wait_for_ready)
    assert (await calling).content == "hello"
    return str(dict(await calling.initial_metadata())["hostname"])


async def health(channel: grpc.aio.Channel) -> int:
    check: grpc.aio.UnaryUnaryMultiCallable[Any, Any] = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        health_pb2.HealthCheckRequest.SerializeToString,
        health_pb2.HealthCheckResponse.FromString,
    )
    response = await check(health_pb2.HealthCheckRequest(service=ECHO), timeout=LONG_SECONDS)
    status: int = response.status
    return status


async def follow_health(channel: grpc.aio.Channel, status: int) -> None:
    """Returns when the app says so."""
    watch: grpc.aio.UnaryStreamMultiCallable[Any, Any] = channel.unary_stream(
        "/grpc.health.v1.Health/Watch",
        health_pb2.HealthCheckRequest.SerializeToString,
        health_pb2.HealthCheckResponse.FromString,
    )
    async for response in watch(health_pb2.HealthCheckRequest(service=ECHO), timeout=LONG_SECONDS):
        if response.status == status:
            return


async def stalls(task: asyncio.Future[Any]) -> bool:
    """Whether it is still under way after a while."""
    done, _ = await asyncio.wait({task}, timeout=SHORT_SECONDS)
    return not done
