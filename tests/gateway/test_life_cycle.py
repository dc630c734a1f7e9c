"""Snapshots that come and go under load, drains, the end, and what one process may hold."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import grpc
import pytest

from gateway import Gateway, GatewayConfig
from gateway.configuration import model
from tests.gateway.backends import Backend, Client
from tests.gateway.core import Serving, document, listener, route, until
from tests.gateway.raw import Http1, connect, http1
from tests.support.processes import ROOT
from tidegate_core import SnapshotError

GOAWAY = 7
"""The type of its frames."""
HEALTH = {"name": "grpc.health.v1.Health.Check", "bindings": [{"verb": "GET", "template": "/v1/health"}]}


class Load:
    """`async with Load(serving) as load`: gRPC calls and HTTP/1.1 requests, over connections old and new."""

    def __init__(self, serving: Serving, *, json_too: bool = True, retries: bool = True) -> None:
        """`retries`: clients send again what never left them, as grpcio does by default."""
        self.serving = serving
        self._retries = retries
        self.done = 0
        self.failures: list[str] = []
        self._json_too = json_too
        self._stop = False

    async def __aenter__(self) -> Self:
        loops = [self._grpc(keep=True), self._grpc(keep=False), self._streams()]
        loops += [self._http1()] if self._json_too else []
        self._tasks = [asyncio.ensure_future(loop) for loop in loops]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._stop = True
        await asyncio.gather(*self._tasks)

    async def more(self, calls: int = 100) -> None:
        wanted = self.done + calls
        await until("calls", lambda: self.done >= wanted or self.failures)
        assert self.failures == []

    async def _try(self, work: Any) -> None:
        try:
            await work
        except (grpc.aio.AioRpcError, AssertionError, OSError, EOFError) as error:
            self.failures.append(repr(error))
            self._stop = True
        self.done += 1

    async def _grpc(self, *, keep: bool) -> None:
        while not self._stop:
            async with Client(self.serving.address, transparent_retries=self._retries) as client:
                for _ in range(10):
                    await self._try(self._unary(client))
                while keep and not self._stop:
                    await self._try(self._unary(client))

    async def _unary(self, client: Client) -> None:
        assert await client.unary(b"hello", timeout=30) == b"hello"

    async def _streams(self) -> None:
        async with Client(self.serving.address, transparent_retries=self._retries) as client:
            while not self._stop:
                await self._try(self._bidi(client))

    async def _bidi(self, client: Client) -> None:
        call = client.bidi(timeout=30)
        for number in range(20):
            await call.write(bytes([number]))
            assert await call.read() == bytes([number])
        await call.done_writing()
        assert await call.read() is grpc.aio.EOF

    async def _http1(self) -> None:
        plain: Http1 | None = None
        while not self._stop:
            if plain is None:
                plain = await http1(self.serving.place)
            answer = None

            async def ask(client: Http1) -> None:
                nonlocal answer
                answer = await client.get(
                    "/test.Gate/Unary", "content-type: application/grpc", method="POST", body=b"\0\0\0\0\0"
                )
                assert answer.status == 200

            await self._try(ask(plain))
            if answer is None or answer.fields.get("connection") == "close":
                plain.writer.close()
                plain = None
        if plain is not None:
            plain.writer.close()


async def test_announcing_the_end_changes_health_only() -> None:
    async with Backend() as app:
        with Serving(document(app.address, methods=[HEALTH]), workers=2) as serving:
            async with Load(serving) as load, await http1(serving.place) as plain:
                await load.more()
                assert (await plain.get("/v1/health")).status == 200
                serving.core.announce_drain()
                assert (await plain.get("/v1/health")).status == 503
                await load.more()


async def test_closing_connections_loses_no_request() -> None:
    """Clients that are told to go reconnect; new connections are accepted for a second yet, and told as well."""
    async with Backend() as app:
        with Serving(document(app.address), workers=2) as serving:
            async with Load(serving) as load:
                await load.more()
                serving.core.close_connections()
                began = time.monotonic()
                while time.monotonic() - began < 0.8:
                    await load.more(5)
            await serving.idle()


async def test_goaway_comes_in_two_steps() -> None:
    """First with the highest stream there can be, then with the last one that was served (RFC 9113, section 6.8)."""
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            async with await connect(serving.place) as client:
                stream = await client.request()
                await client.fields(stream)
                serving.core.close_connections()
                async with asyncio.timeout(15):
                    frames = await client.reader.read(-1)
                seen: list[tuple[int, int]] = []
                while frames:
                    length, kind = int.from_bytes(frames[:3]), frames[3]
                    if kind == GOAWAY:
                        seen.append((int.from_bytes(frames[9:13]), int.from_bytes(frames[13:17])))
                    frames = frames[9 + length :]
                assert seen == [(2**31 - 1, 0), (stream, 0)]


async def test_a_stream_that_is_open_outlives_the_close() -> None:
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                call = client.bidi(timeout=60)
                await call.write(b"1")
                assert await call.read() == b"1"
                serving.core.close_connections()
                await asyncio.sleep(1.5)
                await call.write(b"2")
                assert await call.read() == b"2"
                await call.done_writing()
                assert await call.code() == grpc.StatusCode.OK
            await until("the end", lambda: serving.core.active_connections() == 0)


async def test_connections_grow_old_without_a_lost_request() -> None:
    limits = {"max_connection_age_ms": 300}
    async with Backend() as app:
        with Serving(document(app.address, limits=limits)) as serving:
            async with Load(serving) as load:
                await until(
                    "some to be closed", lambda: load.failures or serving.number("connections_closed_total") >= 8
                )
                await load.more()


@pytest.mark.parametrize("replaced", [12, pytest.param(60, marks=pytest.mark.real)])
async def test_backends_connections_grow_old_without_a_failed_call(replaced: int) -> None:
    """grpcio's max_connection_age of half a second under continuous load, unary and streams, of two workers.

    Sixty connections take fifteen seconds. Clients' connections stay, so nothing gives them a reason to send again.
    """
    options = [("grpc.max_connection_age_ms", 500), ("grpc.max_connection_age_grace_ms", 5000)]
    async with Backend(options=options) as app:
        with Serving(document(app.address), workers=2) as serving:
            async with Load(serving, retries=False) as load:
                await until(
                    "connections to be replaced",
                    lambda: load.failures or serving.number("upstream_connections_closed_total") >= replaced,
                    seconds=100,
                )
            assert load.failures == []
            assert load.done > 8 * replaced


async def test_a_new_snapshot_under_load_loses_no_request() -> None:
    async with AsyncExitStack() as stack:
        apps = [await stack.enter_async_context(Backend()) for _ in range(3)]
        with Serving(document(apps[0].address), workers=2) as serving:
            async with Load(serving) as load:
                for number in range(12):
                    await load.more(20)
                    name = f"app{number % 2}"
                    serving.apply(
                        version=str(number),
                        backends=[{"name": name, "endpoints": [{"address": apps[number % 3].address}]}],
                        routes=[route(name)],
                    )
                await load.more()
            await serving.idle()
        assert all(app.calls for app in apps)


async def test_a_bad_snapshot_changes_nothing() -> None:
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            async with Load(serving) as load:
                await load.more()
                before = (serving.core.listeners(), json.loads(serving.core.status())["snapshot"])
                for bad in (
                    {"routes": [route("nowhere")]},
                    {"unknown": 1},
                    {"listeners": [listener(), listener()]},
                    {"listeners": [listener(address="nonsense")]},
                    {"descriptors": ["AAAA"]},
                    {"backends": [{"name": "app", "endpoints": [{"address": "name.without.port"}]}]},
                ):
                    with pytest.raises(SnapshotError) as caught:
                        serving.apply(version="bad", **bad)
                    assert all(isinstance(fault, str) and ": " in fault for fault in caught.value.args[0])
                with pytest.raises(OSError, match=r"."):
                    serving.apply(version="bad", listeners=[listener(), listener("two", serving.address)])
                with pytest.raises(OSError, match=r"."):
                    serving.apply(version="bad", listeners=[listener(), listener("two", "192.0.2.1:80")])
                assert (serving.core.listeners(), json.loads(serving.core.status())["snapshot"]) == before
                await load.more()


async def test_listeners_come_and_go() -> None:
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                assert await client.unary(b"1", timeout=30) == b"1"
                address = serving.address
                serving.apply(listeners=[listener(), listener("extra")])
                assert serving.address == address
                extra = serving.at("extra")
                async with Client(extra) as other:
                    assert await other.unary(b"2", timeout=30) == b"2"
                serving.apply(listeners=[listener()])
                assert "extra" not in dict(serving.core.listeners())

                async def refused() -> bool:
                    host, port = extra.split(":")
                    try:
                        _, writer = await asyncio.open_connection(host, int(port))
                    except ConnectionRefusedError:
                        return True
                    writer.close()
                    return False

                for _ in range(200):
                    if await refused():
                        break
                    await asyncio.sleep(0.01)
                else:
                    raise AssertionError("a listener that is gone still accepts")
                assert await client.unary(b"3", timeout=30) == b"3"


async def test_connections_are_spread_evenly_over_the_workers() -> None:
    async with Backend() as app:
        with Serving(document(app.address), workers=3) as serving:
            async with AsyncExitStack() as stack:
                for wanted in (1, 2, 3, 7, 20, 50):
                    while serving.number("connections_accepted_total") < wanted:
                        before = serving.number("connections_accepted_total")
                        peer = await stack.enter_async_context(await connect(serving.place))
                        await peer.fields(await peer.request())
                        assert serving.number("connections_accepted_total") == before + 1
                    counts = [serving.number("connections", worker=str(worker)) for worker in range(3)]
                    assert sum(counts) == wanted
                    assert max(counts) - min(counts) <= 1


async def test_stop_takes_less_than_a_second_whatever_is_open() -> None:
    async with Backend() as app:
        serving = Serving(document(app.address), workers=2)
        async with Client(serving.address) as client:
            calls = [client.sleep(b"") for _ in range(20)]
            await until("the calls", lambda: len(app.calls) == 20)
            began = time.monotonic()
            await asyncio.to_thread(serving.core.stop)
            # Generous for a busy machine: what is asked for is one second.
            assert time.monotonic() - began < 5
            for call in calls:
                assert await call.code() == grpc.StatusCode.UNAVAILABLE


EXHAUSTED = """
import resource, sys, threading, time
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
from tests.gateway.core import Serving, document
with Serving(document(sys.argv[1])) as serving:
    print(serving.address, flush=True)
    for line in iter(sys.stdin.readline, ""):
        print(time.process_time(), flush=True)
"""


async def test_when_descriptors_are_used_up_accepting_pauses_and_resumes() -> None:
    async with Backend() as app, AsyncExitStack() as stack:
        command = [sys.executable, "-c", EXHAUSTED, app.address]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin, process.stdout

        async def seconds() -> float:
            stdin.write(b"\n")
            return float(await asyncio.wait_for(stdout.readline(), 30))

        try:
            address = (await asyncio.wait_for(stdout.readline(), 30)).decode().strip()
            host, port = address.split(":")
            client = await stack.enter_async_context(Client(address))
            assert await client.unary(b"x", timeout=30) == b"x"
            hogs = [await http1((host, int(port))) for _ in range(200)]
            before = await seconds()
            await asyncio.sleep(1.0)
            assert await seconds() - before < 0.5
            assert await client.unary(b"still", timeout=30) == b"still"
            for hog in hogs:
                hog.writer.close()
            async with Client(address) as late:
                assert await late.unary(b"again", timeout=30) == b"again"
        finally:
            stdin.close()
            process.kill()
            await process.wait()


def count_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


async def test_the_gateway_can_be_embedded_again_and_again() -> None:
    async with Backend() as app:
        config = GatewayConfig(
            listeners=(model.Listener("main", "127.0.0.1:0"),),
            backends=(model.Backend("app", (app.address,)),),
            routes=(model.Route("all", (("app", 1),)),),
            access_log=model.AccessLog(path=""),
            admin=model.Admin(port=0),
            workers=1,
        )
        threads = count_threads()
        for _ in range(2):
            async with Gateway(config) as one, Gateway(config) as two:
                for gateway in (one, two):
                    async with Client(gateway.addresses["main"]) as client:
                        assert await client.unary(b"x", timeout=30) == b"x"
        await until("the end of all threads", lambda: count_threads() <= threads + 8)
