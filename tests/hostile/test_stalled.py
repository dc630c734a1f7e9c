"""A thousand clients that ask for 16 MiB each and take nothing of it, through one connection to the backend.

What they may cost is stated: a window each (`--stream_window`, 256 KiB), and `--max_buffer_bytes` for all together.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.lifecycle.descriptors import raise_descriptor_limit
from tests.gateway.backends import SERVICE, Backend, Client
from tests.gateway.core import MAIN, document, until
from tests.soak.core import CoreProcess
from tests.support.stalled import StalledClients

KIBIBYTE, MEBIBYTE = 1 << 10, 1 << 20
CLIENTS = 1000
DEAF = 50
"""Of them, those whose windows are open and who do not read from their socket."""
WINDOW = 256 * KIBIBYTE
MESSAGE = 63 * KIBIBYTE
COUNT = 261
"""Messages of a response of 16 MiB."""
METADATA = [("count", str(COUNT))]
PATH = f"/{SERVICE}/Repeat"
LONG = 90.0


@pytest.fixture
def core() -> Iterator[CoreProcess]:
    """A process of its own, so that its memory is the gateway's; one worker, so that all meet."""
    raise_descriptor_limit()
    with CoreProcess(workers=1) as core:
        yield core


def serve(core: CoreProcess, backend: Backend, **limits: int) -> str:
    core.apply(document(backend.address, limits=limits))
    host, port = core.address(MAIN)
    return f"{host}:{port}"


async def until_it_stays(core: CoreProcess, least: int) -> int:
    """Waits until nothing more is buffered from one look to the next; the bytes that are."""
    before = -1
    for _ in range(int(LONG / 0.5)):
        now = core.total("gauges", "buffered_bytes")
        if now == before and now >= least:
            return now
        before = now
        await asyncio.sleep(0.5)
    raise AssertionError(f"{before} bytes are buffered and they still change, or are less than {least}")


async def check_neighbour(neighbour: Client, calls: int = 100) -> None:
    """Small calls, and a response as large as those that nobody takes."""
    for number in range(calls):
        assert await neighbour.unary(number.to_bytes(100), timeout=60) == number.to_bytes(100)
    message = os.urandom(MESSAGE)
    answers = [one async for one in neighbour.repeat(message, metadata=METADATA, timeout=60)]
    assert answers == [message] * COUNT


async def until_released(core: CoreProcess, backend: Backend) -> None:
    await until("the end of all streams", lambda: core.active_streams() == 0, LONG)
    await until("empty buffers", lambda: core.total("gauges", "buffered_bytes") == 0, LONG)
    await until("the end of all calls", lambda: all(call.ended.is_set() for call in backend.calls), LONG)
    await until("the end of their connections", lambda: core.active_connections() == 1, LONG)


async def test_stalled_clients_cost_what_is_stated_and_their_neighbour_nothing(core: CoreProcess) -> None:
    most = CLIENTS * WINDOW
    async with Backend() as backend:
        address = serve(core, backend, max_buffer_bytes=most)
        async with Client(address) as neighbour:
            await check_neighbour(neighbour)
            base = core.resident_bytes()
            with StalledClients(address, PATH, os.urandom(MESSAGE), METADATA, CLIENTS, deaf=DEAF):
                await until("the calls", lambda: len(backend.calls) > CLIENTS + 100, LONG)
                held = await until_it_stays(core, least=CLIENTS * MESSAGE)
                await check_neighbour(neighbour)
                grown = core.resident_bytes() - base
                print(f"{CLIENTS} stalled: {held >> 20} MiB buffered, {grown >> 20} MiB more resident")
                assert core.active_streams() == CLIENTS
                assert held <= most
                assert grown <= CLIENTS * WINDOW + most
                assert core.total("counters", "upstream_connections_total") == 1
            await until_released(core, backend)
            await check_neighbour(neighbour)


async def test_stalled_clients_beyond_the_buffers_are_ended_and_no_neighbour(core: CoreProcess) -> None:
    """A sixteenth of what they would hold."""
    most = CLIENTS * WINDOW // 16
    async with Backend() as backend:
        address = serve(core, backend, max_buffer_bytes=most)
        async with Client(address) as neighbour:
            await check_neighbour(neighbour)
            base = core.resident_bytes()
            with StalledClients(address, PATH, os.urandom(MESSAGE), METADATA, CLIENTS, deaf=DEAF):
                await until("ended streams", lambda: 0 < core.active_streams() < CLIENTS / 4, LONG)
                for number in range(100):
                    assert await neighbour.unary(number.to_bytes(100), timeout=60) == number.to_bytes(100)
                assert core.total("gauges", "buffered_bytes") <= most
                assert core.resident_bytes() - base <= CLIENTS * WINDOW + most
            await until_released(core, backend)
            await check_neighbour(neighbour)


def kept_by_the_kernel(address: str) -> list[int]:
    """Bytes that it holds of each connection to `address`, to be sent or acknowledged (proc_pid_net(5), tx_queue)."""
    port = int(address.rpartition(":")[2])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(row[4].partition(":")[0], 16) for row in rows if int(row[1].rpartition(":")[2], 16) == port]


async def test_the_kernel_holds_little_for_who_does_not_read(core: CoreProcess) -> None:
    """Its memory counts for the container, and it ends for the whole machine at a few hundred such clients."""
    clients = 20
    async with Backend() as backend:
        address = serve(core, backend)
        with StalledClients(address, PATH, os.urandom(MESSAGE), METADATA, clients, deaf=clients):
            await until("the calls", lambda: len(backend.calls) == clients, LONG)
            await until_it_stays(core, least=clients * MESSAGE)
            kept = kept_by_the_kernel(address)
            print(f"at most {max(kept) >> 10} KiB, {sum(kept) >> 10} KiB in all")
            assert max(kept) <= 4 * WINDOW
