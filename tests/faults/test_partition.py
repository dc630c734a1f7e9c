"""A pod whose packets are dropped: seen by real clients, which nobody tells."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from infra.faults import partition
from infra.faults.sockets import sockets_of
from infra.faults.target import FaultError, PodTarget
from tests.faults.pods import Pods, echo, stalls
from tests.support.processes import Program
from tests.support.waiting import wait_for

pytest.importorskip("tidegate_core", reason="the native module is not built: run make build")

POD = "us-central1/0"

ECHO_SERVER = """
import asyncio, sys
async def talk(reader, writer):
    while data := await reader.read(100):
        writer.write(data)
async def main():
    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""

SPEAKER = """
import signal, socket
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
connection, _ = listener.accept()
connection.sendall(b"a")
signal.sigwait({signal.SIGUSR1})
connection.sendall(b"b")
connection.recv(1)
"""

LATE_SERVER = """
import signal, socket
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
signal.sigwait({signal.SIGUSR1})
connection, _ = listener.accept()
connection.sendall(connection.recv(1))
connection.recv(1)
"""

DEAF_SERVER = """
import socket, time
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
time.sleep(3600)
"""


@asynccontextmanager
async def server(source: str, folder: Path) -> AsyncIterator[tuple[PodTarget, int]]:
    """(a pod of one process, its port)."""
    with Program([sys.executable, "-c", source], folder) as program:
        port = int(await asyncio.to_thread(wait_for, "the server's port", lambda: program.stdout))
        yield PodTarget(POD, "us-central1", program.pid, program.pid, folder / "none"), port


async def test_an_established_connection_stalls_and_goes_on_when_healed(pods: Pods) -> None:
    address = await pods.start_with_gateway(POD)
    async with grpc.aio.insecure_channel(address) as channel:
        assert await echo(channel) == POD
        assert await pods.faults.inject("partition", POD)
        pending = asyncio.create_task(echo(channel))
        assert await stalls(pending)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await echo(channel, seconds=0.2)
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        await pods.faults.inject("heal", POD)
        assert await pending == POD


async def test_a_new_connection_is_not_made_until_healed(pods: Pods) -> None:
    host, _, port = (await pods.start_with_gateway(POD)).rpartition(":")
    await pods.faults.inject("partition", "us-central1")
    connecting = asyncio.create_task(asyncio.open_connection(host, int(port)))
    assert await stalls(connecting)
    await pods.faults.inject("heal", "us-central1")
    _, writer = await connecting
    writer.close()


async def test_the_pod_itself_stays_whole(pods: Pods) -> None:
    address = await pods.start_with_gateway(POD)
    target = pods.targets[POD]
    app = int(pods.address(POD).rpartition(":")[2])
    async with grpc.aio.insecure_channel(address) as outside, pods.channel(POD) as inside:
        await echo(outside)
        await pods.faults.inject("partition", POD)
        assert await echo(inside) == POD
        assert any(entry.remote.port == app for entry in sockets_of(target.gateway))
        assert not any(entry.remote.port == app for entry in partition.network_side(target))


async def test_connections_that_are_just_being_made_are_cut_too(tmp_path: Path) -> None:
    async with server(ECHO_SERVER, tmp_path) as (pod, port):
        connecting = [asyncio.create_task(asyncio.open_connection("127.0.0.1", port)) for _ in range(200)]
        # The first of them is made, the others are on their way.
        await asyncio.wait(connecting, return_when=asyncio.FIRST_COMPLETED)
        await partition.cut(pod)
        talks = [asyncio.create_task(_talk(each)) for each in connecting]
        done, _ = await asyncio.wait(talks, timeout=0.4)
        assert not done
        await partition.mend(pod)
        assert await asyncio.gather(*talks) == [b"x"] * 200


async def _talk(connecting: asyncio.Task[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> bytes:
    reader, writer = await connecting
    writer.write(b"x")
    try:
        return await reader.read(1)
    finally:
        writer.close()


async def test_what_the_pod_sends_is_lost_as_well(tmp_path: Path) -> None:
    async with server(SPEAKER, tmp_path) as (pod, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert await reader.read(1) == b"a"
        assert await partition.cut(pod) == 1
        os.kill(pod.gateway, signal.SIGUSR1)
        answer = asyncio.create_task(reader.read(1))
        assert await stalls(answer)
        await partition.mend(pod)
        assert await answer == b"b"
        writer.close()


async def test_a_connection_that_waits_to_be_accepted_is_cut_when_it_is(tmp_path: Path) -> None:
    async with server(LATE_SERVER, tmp_path) as (pod, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        cutting = asyncio.create_task(partition.cut(pod))
        assert await stalls(cutting)
        os.kill(pod.gateway, signal.SIGUSR1)
        assert await cutting == 1
        answer = asyncio.create_task(reader.read(1))
        writer.write(b"x")
        assert await stalls(answer)
        await partition.mend(pod)
        assert await answer == b"x"
        writer.close()


async def test_a_pod_that_accepts_nothing_is_refused_and_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition, "ACCEPT_SECONDS", 0.05)
    async with server(DEAF_SERVER, tmp_path) as (pod, port):
        with socket.create_connection(("127.0.0.1", port)):
            with pytest.raises(FaultError, match="does not accept its connections"):
                await partition.cut(pod)
            with socket.create_connection(("127.0.0.1", port), timeout=30):
                pass


async def test_a_pod_that_has_ended_is_an_error(tmp_path: Path) -> None:
    async with server(ECHO_SERVER, tmp_path) as (pod, _):
        pass
    with pytest.raises(FaultError, match=f"process {pod.gateway} has ended"):
        await partition.cut(pod)
