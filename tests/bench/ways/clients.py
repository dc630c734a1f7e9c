"""Clients as programs have them: grpcio channels that make a call every few milliseconds, and note how long it took."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import grpc

METHOD = "/api.Echo/Echo"
BODY = bytes([0x0A, 93]) + b"x" * 93
"""An `EchoMessage` with 93 bytes of content."""
PERIOD = 0.01
"""Seconds between two calls of a client."""
CALL_SECONDS = 10.0
FIRST_CALLS = 20
"""Of each client, before anything is measured."""
ROUND_ROBIN = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})


@dataclass(slots=True)
class Clients:
    """`async with Clients(targets)`: a client for each target calls until the end of the block."""

    targets: Sequence[str]
    round_robin: bool = False
    latencies: list[float] = field(default_factory=list)
    """Seconds, of calls that were answered."""
    failed: list[str] = field(default_factory=list)
    calling: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once there were some calls of every client."""
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._run(target)) for target in self.targets]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        for task in self._tasks:
            if not task.cancelled():
                task.result()

    async def _run(self, target: str) -> None:
        options: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1)]
        if self.round_robin:
            options.append(("grpc.service_config", ROUND_ROBIN))
        async with grpc.aio.insecure_channel(target, options=options) as channel:
            method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(METHOD)
            await channel.channel_ready()
            due = time.monotonic()
            while True:
                due = max(due + PERIOD, time.monotonic())
                await asyncio.sleep(due - time.monotonic())
                await self._call(method)

    async def _call(self, method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]) -> None:
        began = time.monotonic()
        try:
            answer = await method(BODY, timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError as error:
            self.failed.append(f"{error.code().name}: {error.details()}")
        else:
            self.latencies.append(time.monotonic() - began)
            if len(self.latencies) >= FIRST_CALLS * len(self.targets):
                self.calling.set()
            if answer != BODY:
                self.failed.append("another body than was sent")
