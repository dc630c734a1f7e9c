"""One of three backends is killed under load: what of it the clients see."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Self

import grpc
import pytest

from tests.gateway.core import Serving, document, until
from tests.support.processes import ROOT

WORKERS = (1, 4)
CALLERS = 24
IDEMPOTENT = {"attempts": 3, "on": ["connect-failure", "refused-stream", "reset"]}


@contextmanager
def process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A gRPC server that can be killed, and its address."""
    command = [sys.executable, "-m", "tests.gateway.backend_process"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            assert server.stdout is not None
            yield server, server.stdout.readline().strip()
        finally:
            server.kill()


class Load:
    """Callers that call without a pause, half of them over connections of their own."""

    def __init__(self, address: str) -> None:
        self.succeeded = 0
        self.failures: list[grpc.aio.AioRpcError] = []
        self._address = address
        self._stop = asyncio.Event()

    async def __aenter__(self) -> Self:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
        self._channels = [grpc.aio.insecure_channel(self._address, options=options) for _ in range(CALLERS // 4)]
        self._tasks = [asyncio.create_task(self._call(number)) for number in range(CALLERS)]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._stop.set()
        await asyncio.gather(*self._tasks)
        for channel in self._channels:
            await channel.close()

    async def _call(self, number: int) -> None:
        unary: Any = self._channels[number % len(self._channels)].unary_unary("/test.Gate/Unary")
        body = b"%d" % number
        while not self._stop.is_set():
            try:
                assert await unary(body, timeout=60) == body
                self.succeeded += 1
            except grpc.aio.AioRpcError as error:
                self.failures.append(error)


def streams_of(serving: Serving, address: str) -> int:
    workers = json.loads(serving.core.status())["workers"]
    backends = [backend for worker in workers for backend in worker["backends"]]
    endpoints = [endpoint for backend in backends for endpoint in backend["endpoints"]]
    return sum(endpoint["streams"] for endpoint in endpoints if endpoint["address"] == address)


async def kill_one_of_three(workers: int, retry: dict[str, Any] | None) -> list[grpc.aio.AioRpcError]:
    """What failed. Each caller has a stream on the connections that die."""
    with ExitStack() as stack:
        servers = [stack.enter_context(process()) for _ in range(3)]
        fields = {"retry": retry} if retry else {}
        app = {"name": "app", "endpoints": [{"address": address} for _, address in servers], **fields}
        serving = stack.enter_context(Serving(document(app), workers))
        async with Load(serving.address) as load:
            await until("calls", lambda: load.succeeded > 300)
            victim, address = servers[0]
            # Stopped, it takes requests and answers none; so there are some when it dies.
            victim.send_signal(signal.SIGSTOP)
            await until("streams on it", lambda: streams_of(serving, address) == CALLERS)
            victim.kill()
            reached = load.succeeded + 300
            await until("calls afterwards", lambda: load.succeeded > reached)
        await serving.idle()
        return load.failures


@pytest.mark.parametrize("workers", WORKERS)
async def test_no_call_fails_that_the_policy_declares_idempotent(workers: int) -> None:
    failures = await kill_one_of_three(workers, IDEMPOTENT)
    assert failures == []


@pytest.mark.parametrize("workers", WORKERS)
async def test_without_a_policy_only_what_was_under_way_there_fails(workers: int) -> None:
    failures = await kill_one_of_three(workers, None)
    assert 1 <= len(failures) <= CALLERS
    assert {failure.code() for failure in failures} == {grpc.StatusCode.UNAVAILABLE}
