"""Health as clients of a real grpc.aio server see it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import grpc
import h2.settings
import pytest
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2

from healthcheck.server import Check, HealthServer
from tests.gateway.raw import connect

STATUS = health_pb2.HealthCheckResponse
LIST_REQUEST: Any = GetMessageClass(health_pb2.DESCRIPTOR.message_types_by_name["HealthListRequest"])  # type: ignore[arg-type]
LIST_RESPONSE: Any = GetMessageClass(health_pb2.DESCRIPTOR.message_types_by_name["HealthListResponse"])  # type: ignore[arg-type]
SECONDS = 60.0
"""Only a test that fails waits for so long."""


class Dependency:
    """Something that a check asks; a test breaks and mends it."""

    def __init__(self) -> None:
        self.broken = False
        self.runs = 0

    async def ping(self) -> None:
        self.runs += 1
        if self.broken:
            message = "no route to database"
            raise OSError(message)

    def check(self) -> Check:
        return Check(self.ping, interval=0.02)


class App:
    """A server with health and one method of its own, `/app.Slow/Call`, which answers when `finish` is set."""

    def __init__(self) -> None:
        self.server = grpc.aio.server()
        self.called, self.finish = asyncio.Event(), asyncio.Event()
        method: Any = grpc.unary_unary_rpc_method_handler(self._call)
        self.server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("app.Slow", {"Call": method}),))

    async def _call(self, request: bytes, context: Any) -> bytes:
        self.called.set()
        await self.finish.wait()
        return request

    async def start(self) -> grpc.aio.Channel:
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        await self.server.start()
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.port}")


@contextlib.asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[tuple[App, HealthServer, grpc.aio.Channel]]:
    app = App()
    health = await HealthServer.attach(app.server, **options)
    try:
        async with await app.start() as channel:
            yield app, health, channel
    finally:
        await asyncio.wait_for(health.stop(delay=0, grace=0), SECONDS)


async def check(channel: grpc.aio.Channel, service: str = "") -> int:
    method: Any = channel.unary_unary(
        "/grpc.health.v1.Health/Check", health_pb2.HealthCheckRequest.SerializeToString, STATUS.FromString
    )
    answer = await method(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
    status: int = answer.status
    return status


async def listing(channel: grpc.aio.Channel) -> dict[str, int]:
    method: Any = channel.unary_unary(
        "/grpc.health.v1.Health/List", LIST_REQUEST.SerializeToString, LIST_RESPONSE.FromString
    )
    answer = await method(LIST_REQUEST(), timeout=SECONDS)
    return {service: response.status for service, response in answer.statuses.items()}


class Watch:
    """An open Watch call."""

    def __init__(self, channel: grpc.aio.Channel, service: str = "") -> None:
        method: Any = channel.unary_stream(
            "/grpc.health.v1.Health/Watch", health_pb2.HealthCheckRequest.SerializeToString, STATUS.FromString
        )
        self.call = method(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)

    async def next(self) -> int:
        status: int = (await self.call.read()).status
        return status

    async def until(self, status: int) -> None:
        while await self.next() != status:
            pass


async def watched_by(health: HealthServer, number: int) -> None:
    """Waits until so many Watch calls are open."""
    for _ in range(int(SECONDS / 0.01)):
        if health.watchers == number:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{health.watchers} watch, not {number}")


async def test_one_line_makes_a_server_answer() -> None:
    async with serving() as (_, health, channel):
        assert await check(channel) == STATUS.SERVING
        assert await listing(channel) == {"": STATUS.SERVING}
        assert health.serving == {"": True}


async def test_each_service_has_its_status_and_the_whole_has_that_of_all() -> None:
    async with serving(services=["shop.Cart", "shop.Search"]) as (_, health, channel):
        health.set("shop.Cart", False)
        statuses = {"": STATUS.NOT_SERVING, "shop.Cart": STATUS.NOT_SERVING, "shop.Search": STATUS.SERVING}
        assert await listing(channel) == statuses
        assert {name: await check(channel, name) for name in statuses} == statuses
        health.set("shop.Cart", True)
        assert set((await listing(channel)).values()) == {STATUS.SERVING}
        health.set("", False)
        assert set((await listing(channel)).values()) == {STATUS.NOT_SERVING}
        health.set("", True)
        assert set((await listing(channel)).values()) == {STATUS.SERVING}


async def test_an_unknown_service() -> None:
    async with serving() as (_, health, channel):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await check(channel, "shop.Cart")
        assert error.value.code() is grpc.StatusCode.NOT_FOUND
        watch = Watch(channel, "shop.Cart")
        assert await watch.next() == STATUS.SERVICE_UNKNOWN
        health.set("shop.Cart", True)
        assert await watch.next() == STATUS.SERVING


async def test_watch_tells_each_service_only_its_own_changes() -> None:
    async with serving(services=["a.A", "b.B"]) as (_, health, channel):
        first, second = Watch(channel, "a.A"), Watch(channel, "b.B")
        assert [await first.next(), await second.next()] == [STATUS.SERVING] * 2
        health.set("a.A", False)
        assert await first.next() == STATUS.NOT_SERVING
        health.set("b.B", False)
        assert await second.next() == STATUS.NOT_SERVING


async def test_watchers_that_leave_are_forgotten() -> None:
    async with serving(services=["a.A"]) as (_, health, channel):
        watches = [Watch(channel, name) for name in ("", "a.A", *(f"no.Such{number}" for number in range(20)))]
        for watch in watches:
            await watch.next()
        assert health.watchers == len(watches)
        for watch in watches:
            watch.call.cancel()
        await watched_by(health, 0)


async def test_list_has_a_limit() -> None:
    async with serving(services=[f"many.Service{number}" for number in range(99)]) as (_, health, channel):
        assert len(await listing(channel)) == 100
        health.set("one.Too.Many", True)
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await listing(channel)
        assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_service_serves_only_while_its_checks_pass() -> None:
    database, cache = Dependency(), Dependency()
    options = {
        "services": {"shop.Cart": ["database", "cache"], "shop.Search": ["cache"], "live": []},
        "checks": {"database": database.check(), "cache": cache.check()},
    }
    async with serving(**options) as (_, health, channel):
        assert set((await listing(channel)).values()) == {STATUS.SERVING}
        cart = Watch(channel, "shop.Cart")
        assert await cart.next() == STATUS.SERVING
        database.broken = True
        assert await cart.next() == STATUS.NOT_SERVING
        assert await listing(channel) == {
            "": STATUS.NOT_SERVING,
            "shop.Cart": STATUS.NOT_SERVING,
            "shop.Search": STATUS.SERVING,
            "live": STATUS.SERVING,
        }
        assert health.checks["database"].error == "OSError: no route to database"
        health.set("shop.Cart", True)
        assert await check(channel, "shop.Cart") == STATUS.NOT_SERVING
        database.broken = False
        assert await cart.next() == STATUS.SERVING
        assert await check(channel) == STATUS.SERVING


async def test_answers_come_from_the_last_run() -> None:
    database = Dependency()
    async with serving(checks={"database": Check(database.ping, interval=3600)}) as (_, health, channel):
        for _ in range(50):
            assert await check(channel) == STATUS.SERVING
        assert database.runs == 1
        assert health.checks["database"].passing


async def test_the_whole_can_need_less_than_its_parts() -> None:
    database = Dependency()
    database.broken = True
    services: dict[str, list[str]] = {"": [], "shop.Cart": ["database"]}
    async with serving(services=services, checks={"database": database.check()}) as (_, _, channel):
        assert await listing(channel) == {"": STATUS.SERVING, "shop.Cart": STATUS.NOT_SERVING}


async def test_the_end_is_told_first_and_loses_no_call() -> None:
    async with serving(services=["a.A"], checks={"database": Dependency().check()}) as (app, health, channel):
        watch = Watch(channel, "a.A")
        assert await watch.next() == STATUS.SERVING
        method: Any = channel.unary_unary("/app.Slow/Call")
        early = method(b"early", timeout=SECONDS)
        await asyncio.wait_for(app.called.wait(), SECONDS)
        stopping = asyncio.create_task(health.stop(delay=SECONDS, grace=SECONDS))
        assert await watch.next() == STATUS.NOT_SERVING
        app.called.clear()
        late = method(b"during the delay", timeout=SECONDS)
        await asyncio.wait_for(app.called.wait(), SECONDS)
        assert await check(channel, "a.A") == STATUS.NOT_SERVING
        health.set("a.A", True)
        assert health.serving == {"": False, "a.A": False}
        hurried = asyncio.create_task(health.stop(delay=0, grace=SECONDS))
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await watch.next()
        assert error.value.code() is grpc.StatusCode.UNAVAILABLE
        assert not hurried.done()
        app.finish.set()
        assert [await early, await late] == [b"early", b"during the delay"]
        await asyncio.wait_for(asyncio.gather(stopping, hurried), SECONDS)


async def test_watchers_do_not_hold_up_the_end() -> None:
    async with serving() as (_, health, channel):
        watch = Watch(channel)
        assert await watch.next() == STATUS.SERVING
        await asyncio.wait_for(health.stop(delay=0, grace=10 * SECONDS), SECONDS)


async def test_a_second_stop_is_at_once() -> None:
    async with serving() as (app, health, channel):
        method: Any = channel.unary_unary("/app.Slow/Call")
        call = method(b"never answered", timeout=SECONDS)
        await asyncio.wait_for(app.called.wait(), SECONDS)
        first = asyncio.create_task(health.stop(delay=10 * SECONDS, grace=10 * SECONDS))
        await Watch(channel).until(STATUS.NOT_SERVING)
        await asyncio.wait_for(health.stop(delay=0, grace=0), SECONDS)
        await asyncio.wait_for(first, SECONDS)
        with pytest.raises(grpc.aio.AioRpcError):
            await call


async def test_a_watcher_that_takes_nothing_holds_up_nobody() -> None:
    """It opens no flow control window, so that writing to it never ends."""
    async with serving(services=["a.A"]) as (app, health, channel):
        settings = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0}
        async with await connect(("127.0.0.1", app.port), settings=settings) as stalled:
            await stalled.request(b"\x0a\x03a.A", path="/grpc.health.v1.Health/Watch")
            await watched_by(health, 1)
            watch = Watch(channel, "a.A")
            assert await watch.next() == STATUS.SERVING
            for serves, status in ((False, STATUS.NOT_SERVING), (True, STATUS.SERVING)):
                health.set("a.A", serves)
                assert await asyncio.wait_for(watch.next(), SECONDS) == status
            await asyncio.wait_for(health.stop(delay=0, grace=0.1), SECONDS)


@pytest.mark.parametrize(
    "options",
    [
        {"services": {"a.A": ["database"]}},
        {"services": {"a.A": "database"}},
        {"services": "a.A"},
        {"checks": {"database": None}},
        {"checks": {"database": 5}},
    ],
)
async def test_what_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"database|not one name|async function"):
        await HealthServer.attach(grpc.aio.server(), **options)


@pytest.mark.parametrize("wrong", [{"interval": 0}, {"interval": float("nan")}, {"timeout": -1}, {"failures": 0}])
def test_numbers_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="A check wants"):
        Check(Dependency().ping, **wrong)
