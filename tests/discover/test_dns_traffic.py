"""What changes at a name server moves real requests through a real gateway to real backends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway import Gateway
from gateway.configuration import load_file
from gateway.discover.directory import BackendReport
from tests.support.backends import NAME_HEADER, SERVICE, GrpcBackend
from tests.support.name_server import NameServer

LONG_SECONDS = 60.0

FILE = """\
apiVersion: tidegate.dev/v1
kind: Gateway
spec:
  listeners: [{name: main, address: "127.0.0.1:0"}]
  backends:
  - name: app
    targets:
    - TARGET
  accessLog: {path: 'off'}
  admin: {port: 0}
  workers: 1
"""


@pytest.fixture
def backends() -> Iterator[tuple[GrpcBackend, ...]]:
    """Three, on one port of 127.0.0.1, .2 and .3, named by their addresses."""
    with ExitStack() as stack:
        while True:
            try:
                yield tuple(stack.enter_context(backend) for backend in made())
            except RuntimeError:  # somebody else has the port at one of the addresses
                continue
            return


def made() -> list[GrpcBackend]:
    first = GrpcBackend("127.0.0.1")
    port = first.address.rpartition(":")[2]
    return [first, *(GrpcBackend(host, address=f"{host}:{port}") for host in ("127.0.0.2", "127.0.0.3"))]


@dataclass
class Traffic:
    gateway: Gateway
    channel: grpc.aio.Channel

    async def call(self) -> str:
        """The name of the backend that served a request, or the status that it ended with."""
        method: Any = self.channel.unary_unary(f"/{SERVICE}/Unary")
        call = method(b"x", timeout=30)
        try:
            await call
        except grpc.aio.AioRpcError as error:
            return error.code().name
        return str(dict(await call.initial_metadata())[NAME_HEADER])

    async def spread(self, calls: int = 12) -> Counter[str]:
        """How many requests each backend served."""
        return Counter([await self.call() for _ in range(calls)])

    async def until(self, *served: str) -> None:
        """Waits until requests are served by these and by no other."""
        spread: Counter[str] = Counter()
        for _ in range(int(LONG_SECONDS / 0.05)):
            spread = await self.spread()
            if set(spread) == set(served):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{spread} instead of {served}; {self.report}")

    @property
    def report(self) -> BackendReport:
        return self.gateway.facts().backends[0]


@asynccontextmanager
async def traffic(folder: Path, target: str) -> AsyncIterator[Traffic]:
    path = folder / "gateway.yaml"
    path.write_text(FILE.replace("TARGET", target))
    async with Gateway(load_file(path).config) as gateway:
        async with grpc.aio.insecure_channel(gateway.addresses["main"]) as channel:
            yield Traffic(gateway, channel)


async def test_requests_follow_the_addresses_of_a_name(tmp_path: Path, backends: tuple[GrpcBackend, ...]) -> None:
    port = backends[0].address.rpartition(":")[2]
    async with NameServer() as server:
        server.put("app.test", "A", "127.0.0.1")
        async with traffic(tmp_path, f"dns://{server.address}/app.test.:{port}?interval=100ms") as sent:
            await sent.until("127.0.0.1")
            assert "headless" in sent.report.hints[0]

            server.put("app.test", "A", "127.0.0.1", "127.0.0.2", "127.0.0.3")
            await sent.until("127.0.0.1", "127.0.0.2", "127.0.0.3")
            assert await sent.spread(12) == {"127.0.0.1": 4, "127.0.0.2": 4, "127.0.0.3": 4}
            assert sent.report.hints == ()

            server.put("app.test", "A", "127.0.0.3")
            await sent.until("127.0.0.3")

            server.fault = "SERVFAIL"
            failures = sent.report.failures
            while sent.report.failures == failures:
                assert await sent.call() == "127.0.0.3"
            assert "SERVFAIL" in sent.report.errors[0]
            assert await sent.spread() == {"127.0.0.3": 12}

            server.fault = ""
            server.remove("app.test")
            await sent.until("UNAVAILABLE")
            assert sent.report.errors == ()

            server.put("app.test", "A", "127.0.0.2")
            await sent.until("127.0.0.2")


async def test_a_stream_to_an_address_that_vanished_goes_on(tmp_path: Path, backends: tuple[GrpcBackend, ...]) -> None:
    port = backends[0].address.rpartition(":")[2]
    async with NameServer() as server:
        server.put("app.test", "A", "127.0.0.1")
        async with traffic(tmp_path, f"dns://{server.address}/app.test.:{port}?interval=100ms") as sent:
            await sent.until("127.0.0.1")
            method: Any = sent.channel.stream_stream(f"/{SERVICE}/Bidi")
            stream = method(timeout=LONG_SECONDS)
            await stream.write(b"before")
            assert await stream.read() == b"before"
            server.put("app.test", "A", "127.0.0.2")
            await sent.until("127.0.0.2")
            await stream.write(b"after")
            assert await stream.read() == b"after"
            await stream.done_writing()
            assert await stream.code() is grpc.StatusCode.OK


async def test_srv_records_say_where_how_much_and_in_which_order(
    tmp_path: Path, backends: tuple[GrpcBackend, ...]
) -> None:
    port = backends[0].address.rpartition(":")[2]
    async with NameServer() as server:
        for number in (1, 2, 3):
            server.put(f"pod-{number}.test", "A", f"127.0.0.{number}")
        heavy = f"0 3 {port} pod-1.test."
        light = f"0 1 {port} pod-2.test."
        spare = f"9 1 {port} pod-3.test."
        server.put("_grpc._tcp.app.test", "SRV", heavy, light, spare)
        async with traffic(tmp_path, f"dns://{server.address}/app.test.?interval=100ms") as sent:
            await sent.until("127.0.0.1", "127.0.0.2")
            assert await sent.spread(12) == {"127.0.0.1": 9, "127.0.0.2": 3}
            server.put("_grpc._tcp.app.test", "SRV", spare)
            await sent.until("127.0.0.3")


async def test_a_name_server_that_is_down_at_the_start_is_asked_again(
    tmp_path: Path, backends: tuple[GrpcBackend, ...]
) -> None:
    port = backends[0].address.rpartition(":")[2]
    async with NameServer() as server:
        server.put("app.test", "A", "127.0.0.1")
        server.fault = "REFUSED"
        async with traffic(tmp_path, f"dns://{server.address}/app.test.:{port}") as sent:
            assert await sent.call() == "UNAVAILABLE"
            assert "REFUSED" in sent.report.errors[0]
            server.fault = ""
            await sent.until("127.0.0.1")


async def test_a_static_list_has_weights(tmp_path: Path, backends: tuple[GrpcBackend, ...]) -> None:
    heavy, light, spare = (backend.address for backend in backends)
    target = f'{{address: "{heavy}", weight: 3}}\n    - static:{light},{spare};priority=1'
    async with traffic(tmp_path, target) as sent:
        await sent.until("127.0.0.1", "127.0.0.2")
        assert await sent.spread(12) == {"127.0.0.1": 9, "127.0.0.2": 3}


@pytest.mark.parametrize("answer", ["?interval=1h", ""], ids=["interval", "ttl"])
async def test_a_server_that_moves_is_found_though_its_name_is_good_for_an_hour(tmp_path: Path, answer: str) -> None:
    first, second, _ = made()
    port = first.address.rpartition(":")[2]
    async with NameServer() as server:
        server.put("app.test", "A", "127.0.0.1", ttl=3600)
        async with traffic(tmp_path, f"dns://{server.address}/app.test.:{port}{answer}") as sent:
            with first:
                await sent.until("127.0.0.1")
                asked = server.count("app.test")
                await sent.spread(30)
                assert server.count("app.test") == asked
                server.put("app.test", "A", "127.0.0.2", ttl=3600)
            with second:
                await sent.until("127.0.0.2")
            assert server.count("app.test") > asked
