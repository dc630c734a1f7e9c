"""A region whose pods are replaced one by one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from infra.sample import ECHO
from infra.sample.messages import method_of
from infra.world.clusters import Cluster
from infra.world.layout import API_HOST
from infra.world.world import Settings, World

pytest.importorskip("tidegate_core", reason="the native module is not built: run make build")

REGION = "us-central1"


async def test_a_roll_out_replaces_every_process_and_fails_no_call(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "world", (Cluster(REGION, "us-central1-a"),), port=0, api_port=0)
    async with World(settings) as world:
        before = [pod.processes for pod in world.pods]
        rolling = asyncio.create_task(world.roll(REGION))
        answered = await call_until(rolling, world)
        await rolling
        after = [pod.processes for pod in world.pods]
    assert answered == {pod.plan.name for pod in world.pods}
    for (old_app, old_gateway), (app, gateway) in zip(before, after, strict=True):
        assert app != old_app
        assert gateway != old_gateway


async def call_until(end: asyncio.Task[None], world: World) -> set[str]:
    """Calls Echo over one connection, one call after the other; the pods that answered. AioRpcError: a call failed."""
    method = method_of(ECHO)
    credentials = grpc.ssl_channel_credentials(world.layout.authority.read_bytes())
    options = [("grpc.ssl_target_name_override", API_HOST), ("grpc.default_authority", API_HOST)]
    metadata = (("authorization", f"Bearer {world.token()}"),)
    request = method.request(content="hello").SerializeToString()
    answered: set[str] = set()
    async with grpc.aio.secure_channel(world.listeners[0].listen, credentials, options) as channel:
        echo: Any = channel.unary_unary(method.path)
        while not end.done():
            calling = echo(request, timeout=30, metadata=metadata)
            await calling
            answered.add(str(dict(await calling.initial_metadata())["hostname"]))
    return answered
