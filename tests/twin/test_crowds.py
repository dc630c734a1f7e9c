"""Very many clients at once, of the API and of the listeners: all are answered, and nothing is lost."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from infra.twin.process import TwinOptions
from tests.support.backends import GrpcBackend
from tests.support.processes import Program
from tests.support.waiting import wait_for
from tests.twin.balancer import CLIENT_REGIONS, Balancer, Caller, unverifiable
from tests.twin.compiled import PROJECT, Twin
from tests.twin.conftest import Client, Start

US = CLIENT_REGIONS[0]
CLIENTS = 1000


async def test_a_thousand_clients_at_once_lose_nothing(client: Client) -> None:
    """Each on a connection of its own; every one makes a resource, reads it, and takes a step that is refused."""
    url = f"{client.base}/compute/v1/projects/{PROJECT}/global/healthChecks"

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        async with session.post(url, json={"name": f"check-{number}", "type": "TCP"}) as answer:
            assert answer.status == 200
        async with session.post(url, data=b"{") as answer:
            assert answer.status == 400
        async with session.get(f"{url}/check-{number}") as answer:
            assert (await answer.json())["name"] == f"check-{number}"

    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as tasks:
        for number in range(CLIENTS):
            tasks.create_task(one(session, number))
    names: set[str] = set()
    query = {"maxResults": "500"}
    while True:
        page = await client.get("global/healthChecks", **query)
        names |= {item["name"] for item in page["items"]}
        if "nextPageToken" not in page:
            break
        query["pageToken"] = page["nextPageToken"]
    assert names == {f"check-{number}" for number in range(CLIENTS)}


MOST_GROWTH = 450
"""Megabytes: half a megabyte of each connection, and what has its turn. All bodies together are 900."""


def _peak(pid: int) -> int:
    """Megabytes of memory that a process has had at most."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


async def test_large_bodies_of_many_clients_take_bounded_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra.cli.main", "twin", "--port", "0"]
    with Program(command, tmp_path) as program:
        await asyncio.to_thread(wait_for, "the twin's URL", lambda: program.stdout.endswith("\n"))
        url = f"{program.stdout.strip()}projects/{PROJECT}/global/addresses"
        before = _peak(program.pid)
        allowed = json.dumps({"name": "vip", "unknown": "x" * (3 << 20)}).encode()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def send(body: bytes) -> int:
                async with session.post(url, data=body) as answer:
                    await answer.read()
                    return answer.status

            statuses = Counter(await asyncio.gather(*(send(allowed) for _ in range(300))))
            assert statuses == {200: 1, 409: 299}
            assert await send(b'{"name": "other"}') == 200
        assert _peak(program.pid) - before < MOST_GROWTH


async def test_clients_that_say_nothing_are_in_nobodys_way(client: Client) -> None:
    """A thousand connections, half of them in the middle of a request."""
    host, _, port = client.base.removeprefix("http://").rpartition(":")
    connections = [await asyncio.open_connection(host, int(port)) for _ in range(CLIENTS)]
    for _, writer in connections[::2]:
        writer.write(
            b"POST /compute/v1/projects/demo/global/addresses HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n{"
        )
    for number in range(20):
        await client.done("POST", "global/addresses", {"name": f"vip-{number}", "labels": {"large": "x" * 1000}})
    for _, writer in connections:
        writer.close()


def test_lists_of_thousands_take_no_longer_than_all_their_items() -> None:
    """Who uses what is found once for a list: for each of its items anew, these two would take minutes."""
    twin = Twin()
    for number in range(2000):
        name = f"check-{number}"
        twin.call("POST", "global/healthChecks", {"name": name, "type": "TCP"})
        service = {"name": name, "healthChecks": [f"global/healthChecks/{name}"]}
        twin.call("POST", "global/backendServices", service)
    for path in ("global", "aggregated"):
        assert twin.get(f"{path}/backendServices")["nextPageToken"]


async def test_what_was_answered_is_there_after_kill_9(start: Start, tmp_path: Path) -> None:
    """A hundred clients write until the twin is gone."""
    state = tmp_path / "twin.db"
    answered: set[str] = set()
    command = [sys.executable, "-m", "infra.cli.main", "twin", "--port", "0", "--state", str(state)]
    with Program(command, tmp_path) as program:
        await asyncio.to_thread(wait_for, "the twin's URL", lambda: program.stdout.endswith("\n"))
        url = f"{program.stdout.strip()}projects/{PROJECT}/global/healthChecks"

        async def write(session: aiohttp.ClientSession, client: int) -> None:
            for number in itertools.count():
                name = f"check-{client}-{number}"
                try:
                    async with session.post(url, json={"name": name, "type": "TCP"}) as answer:
                        assert answer.status == 200
                        await answer.read()
                except (aiohttp.ClientError, ConnectionError):
                    return
                answered.add(name)
                if len(answered) == 300:
                    program.send(signal.SIGKILL)

        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(write(session, client) for client in range(100)))
    restarted = await start(TwinOptions(state=state))
    for name in answered:
        await restarted.get(f"global/healthChecks/{name}")
    assert len(answered) >= 300


@pytest.fixture
async def balancer(start: Start) -> AsyncIterator[Balancer]:
    """One region's backend, and a front end for clients of one region."""
    balancer = Balancer(await start(TwinOptions()))
    with GrpcBackend("pod", credentials=unverifiable()) as pod:
        await balancer.make({US: [pod.address]})
        await balancer.listeners()
        await balancer.healthy({US: 1})
        yield balancer


async def test_a_thousand_clients_of_a_listener_are_all_served(balancer: Balancer) -> None:
    """All connections stand before the first request is sent."""
    host, _, port = (await balancer.listeners())[US].rpartition(":")
    tls = ssl.create_default_context(cadata=balancer.ca.decode())
    opening = asyncio.Semaphore(100)

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with opening:
            return await asyncio.open_connection(host, int(port), ssl=tls, server_hostname="api.example")

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"GET /any HTTP/1.1\r\nhost: api.example\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.split(b"\r\n", 1)[0]

    connections = await asyncio.gather(*(connect() for _ in range(CLIENTS)))
    answers = Counter(await asyncio.gather(*(ask(*connection) for connection in connections)))
    ((line, count),) = answers.items()
    assert count == CLIENTS
    assert line.startswith(b"HTTP/1.1 ")
    assert set(await Caller((await balancer.listeners())[US], balancer.ca)(5)) == {"pod"}


async def test_ten_megabytes_through_a_listener_have_an_answer(balancer: Balancer) -> None:
    listen = (await balancer.listeners())[US]
    tls = ssl.create_default_context(cadata=balancer.ca.decode())
    connector = aiohttp.TCPConnector(ssl=tls, limit=20)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def send() -> int:
            url, headers = f"https://{listen}/any", {"host": "api.example"}
            async with session.post(
                url, data=bytes(10 << 20), headers=headers, server_hostname="api.example"
            ) as answer:
                await answer.read()
                return answer.status

        statuses = Counter(await asyncio.gather(*(send() for _ in range(20))))
    assert len(statuses) == 1
    assert set(await Caller(listen, balancer.ca)(5)) == {"pod"}


async def test_calls_go_on_among_nonsense(balancer: Balancer) -> None:
    listen = (await balancer.listeners())[US]
    host, _, port = listen.rpartition(":")
    caller = Caller(listen, balancer.ca)
    calls = asyncio.create_task(caller(100, pace=0.005))
    for data in (b"\x16\x03\x01\xff\xff" + b"\x00" * 100, b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 5000, bytes(range(256))):
        for _ in range(25):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(data)
            writer.close()
    assert await calls == {"pod": 100}


async def test_resources_that_make_no_sense_together_leave_others_served(balancer: Balancer) -> None:
    """A second rule, which has no certificate, is named as a problem; the first is served as before."""
    done = balancer.client.done
    names = "//certificatemanager.googleapis.com/projects/demo/locations/global/certificateMaps/names"
    proxy = {"name": "bare", "urlMap": "global/urlMaps/map", "certificateMap": names}
    await done("POST", "global/targetHttpsProxies", proxy)
    rule = {"name": "bare", "target": "global/targetHttpsProxies/bare", "portRange": "443"}
    await done("POST", "global/forwardingRules", rule | {"loadBalancingScheme": "EXTERNAL_MANAGED"})
    while True:
        _, body = await balancer.client.own("GET", "listeners")
        bare = [one for one in body["listeners"] if one["forwardingRule"].endswith("/bare")]
        if len(bare) == len(CLIENT_REGIONS) and all("problem" in one for one in bare):
            break
        await asyncio.sleep(0.02)
    assert not any(one["ready"] for one in bare)
    assert set(await Caller((await balancer.listeners())[US], balancer.ca)(5)) == {"pod"}
