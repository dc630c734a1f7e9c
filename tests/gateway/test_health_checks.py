"""A gateway that asks its endpoints whether they serve: who does not gets no call, and no call fails for it."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiohttp
import grpc
import pytest
from aiohttp import web

from gateway import Gateway
from gateway.configuration.model import (
    AccessLog,
    Admin,
    Backend,
    BackendTls,
    Balance,
    GatewayConfig,
    HealthCheck,
    Listener,
    Retry,
    Route,
)
from healthcheck.server import HealthServer
from healthcheck.state import Admin as Word
from healthcheck.state import Health, Verdict
from tests.gateway.backends import Backend as Server
from tests.gateway.backends import Client
from tests.gateway.core import until
from tests.support import app as apps
from tests.support.certificates import Authority

WORKERS = (1, 4)
CALLERS = 4
QUICK = HealthCheck(interval=0.05, timeout=5.0, flap_damping=False)
KINDS = [pytest.param(QUICK, id="watch"), pytest.param(dataclasses.replace(QUICK, watch=False), id="check")]


def config(*targets: str, check: HealthCheck | None = QUICK, workers: int = 1, **changes: Any) -> GatewayConfig:
    """Health is never ignored, so that a call that reaches who does not serve is a mistake."""
    changes = {"balance": Balance(panic_threshold_percent=0), "retry": Retry(attempts=3), **changes}
    return GatewayConfig(
        listeners=(Listener("main", "127.0.0.1:0"),),
        backends=(Backend("app", targets, health_check=check, **changes),),
        routes=(Route("all", (("app", 1),)),),
        admin=Admin(port=0),
        access_log=AccessLog(path=""),
        workers=workers,
    )


def known(gateway: Gateway, address: str) -> Health:
    states = {health.endpoint: health for health in gateway.facts().health["app"]}
    return states.get(address, Health(address))


async def comes_to(gateway: Gateway, address: str, verdict: Verdict) -> None:
    await until(f"{address} is {verdict}", lambda: known(gateway, address).verdict is verdict)


@asynccontextmanager
async def servers(*statuses: str) -> AsyncIterator[list[Server]]:
    async with AsyncExitStack() as stack:
        made = [await stack.enter_async_context(Server()) for _ in statuses]
        for server, status in zip(made, statuses, strict=True):
            await server.set_health(status)
        yield made


class Load:
    """Calls without a pause in the background; none may fail."""

    def __init__(self, address: str, method: str = "/test.Gate/Unary") -> None:
        self._succeeded = [0] * CALLERS
        self._address = address
        self._method = method

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._call(number)) for number in range(CALLERS)]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            assert isinstance(outcome, asyncio.CancelledError), outcome

    async def more(self, calls: int = 10) -> None:
        """Waits for so many of each caller; with two, what was under way before has ended."""
        goals = [succeeded + calls for succeeded in self._succeeded]

        def reached() -> bool:
            done = all(now >= goal for now, goal in zip(self._succeeded, goals, strict=True))
            return done or any(task.done() for task in self._tasks)

        await until("calls", reached)

    async def _call(self, number: int) -> None:
        async with Client(self._address) as client:
            call = client.method(self._method)
            while True:
                assert await call(b"x", timeout=60) == b"x"
                self._succeeded[number] += 1


async def call(gateway: Gateway, times: int = 20) -> None:
    async with Client(gateway.addresses["main"]) as client:
        for _ in range(times):
            assert await client.unary(b"x", timeout=60) == b"x"


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("check", KINDS)
async def test_the_first_call_goes_to_who_serves(check: HealthCheck, workers: int) -> None:
    async with (
        servers("NOT_SERVING", "SERVING", "UNKNOWN") as (no, yes, mute),
        Gateway(config(no.address, yes.address, mute.address, check=check, workers=workers)) as gateway,
    ):
        await call(gateway)
        assert (len(no.calls), len(yes.calls), len(mute.calls)) == (0, 20, 0)


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("check", KINDS)
async def test_who_comes_and_goes_under_load_costs_no_call(check: HealthCheck, workers: int) -> None:
    async with (
        servers("SERVING", "SERVING") as (a, b),
        Gateway(config(a.address, b.address, check=check, workers=workers)) as gateway,
        Load(gateway.addresses["main"]) as load,
    ):
        await load.more()
        for turn in range(6):
            out, other = (a, b) if turn % 2 else (b, a)
            await out.set_health("NOT_SERVING")
            await comes_to(gateway, out.address, Verdict.UNHEALTHY)
            await load.more(2)
            before, others = len(out.calls), len(other.calls)
            await load.more()
            assert len(out.calls) == before
            assert len(other.calls) > others
            await out.set_health("SERVING")
            await comes_to(gateway, out.address, Verdict.HEALTHY)
            await until("its share", lambda out=out, before=before: len(out.calls) > before + 5)


@pytest.mark.parametrize("workers", WORKERS)
async def test_a_service_of_its_own_is_asked_for(workers: int) -> None:
    async with servers("SERVING", "SERVING") as (a, b):
        await a.set_health("SERVING", "shop.Cart")
        check = dataclasses.replace(QUICK, service="shop.Cart")
        async with Gateway(config(a.address, b.address, check=check, workers=workers)) as gateway:
            await comes_to(gateway, b.address, Verdict.UNHEALTHY)
            assert str(known(gateway, b.address).observed) == "SERVICE_UNKNOWN"
            await call(gateway)
            assert not b.calls
            await b.set_health("SERVING", "shop.Cart")
            await comes_to(gateway, b.address, Verdict.HEALTHY)


@pytest.mark.parametrize("workers", WORKERS)
async def test_a_process_that_is_killed_and_comes_back(tmp_path: Path, workers: int) -> None:
    retry = Retry(attempts=3, on=("connect-failure", "refused-stream", "reset"))
    with apps.App(tmp_path / "a") as a, apps.App(tmp_path / "b") as b:
        async with (
            Gateway(config(a.address, b.address, workers=workers, retry=retry)) as gateway,
            Load(gateway.addresses["main"], apps.METHOD) as load,
        ):
            await load.more()
            await asyncio.to_thread(a.kill)
            await comes_to(gateway, a.address, Verdict.UNHEALTHY)
            await load.more()
            await asyncio.to_thread(a.restart)
            await comes_to(gateway, a.address, Verdict.HEALTHY)
            await load.more()


@pytest.mark.parametrize("check", KINDS)
async def test_a_process_that_hangs_is_noticed(tmp_path: Path, check: HealthCheck) -> None:
    check = dataclasses.replace(check, timeout=1.0)
    with apps.App(tmp_path / "a") as a, apps.App(tmp_path / "b") as b:
        async with Gateway(config(a.address, b.address, check=check)) as gateway:
            await comes_to(gateway, a.address, Verdict.HEALTHY)
            a.send(signal.SIGSTOP)
            try:
                await comes_to(gateway, a.address, Verdict.UNHEALTHY)
                async with Load(gateway.addresses["main"], apps.METHOD) as load:
                    await load.more()
            finally:
                a.send(signal.SIGCONT)
            await comes_to(gateway, a.address, Verdict.HEALTHY)


@pytest.mark.parametrize("check", KINDS)
async def test_a_server_without_health_is_as_good_as_any(check: HealthCheck) -> None:
    bare = grpc.aio.server()
    port = bare.add_insecure_port("127.0.0.1:0")
    await bare.start()
    try:
        async with Gateway(config(f"127.0.0.1:{port}", check=check)) as gateway:
            await comes_to(gateway, f"127.0.0.1:{port}", Verdict.HEALTHY)
            await bare.stop(None)
            await comes_to(gateway, f"127.0.0.1:{port}", Verdict.UNHEALTHY)
    finally:
        await bare.stop(None)


async def test_our_own_health_server_is_watched() -> None:
    server = grpc.aio.server()
    health = await HealthServer.attach(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        hourly = dataclasses.replace(QUICK, interval=3600.0)
        async with Gateway(config(f"127.0.0.1:{port}", check=hourly)) as gateway:
            await comes_to(gateway, f"127.0.0.1:{port}", Verdict.HEALTHY)
            assert health.watchers == 1
            health.set("", False)
            await comes_to(gateway, f"127.0.0.1:{port}", Verdict.UNHEALTHY)
            health.set("", True)
            await comes_to(gateway, f"127.0.0.1:{port}", Verdict.HEALTHY)
        await until("the end of Watch", lambda: health.watchers == 0)
    finally:
        await health.stop(0, 0)


@pytest.mark.parametrize("protocol", ["http", "tcp"])
async def test_another_port_may_be_asked(protocol: Any) -> None:
    status, seen = 200, list[str]()

    async def ready(request: web.Request) -> web.Response:
        seen.append(f"{request.host} {request.path_qs} {request.headers.get('x-probe')}")
        return web.Response(status=status)

    runner = web.AppRunner(_page(ready))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    (address,) = runner.addresses
    http: dict[str, Any] = {"path": "/ready?x=1", "host": "app.example"} if protocol == "http" else {}
    check = dataclasses.replace(QUICK, protocol=protocol, port=address[1], **http)
    try:
        async with servers("SERVING") as (a,), Gateway(config(a.address, check=check)) as gateway:
            await comes_to(gateway, a.address, Verdict.HEALTHY)
            if protocol == "http":
                assert seen[0] == "app.example /ready?x=1 None"
                status = 404
            else:
                assert not seen
                await runner.cleanup()
            await comes_to(gateway, a.address, Verdict.UNHEALTHY)
    finally:
        await runner.cleanup()


def _page(handler: Callable[[web.Request], Any]) -> web.Application:
    page = web.Application()
    page.router.add_get("/ready", handler)
    return page


async def test_checks_speak_the_backends_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("app.example")
    credentials = grpc.ssl_server_credentials([(files.key.read_bytes(), files.chain.read_bytes())])
    tls = BackendTls(ca=authority.ca, server_name="app.example")
    async with Server(credentials=credentials) as server:
        await server.set_health("SERVING")
        for check, verdict in ((dataclasses.replace(QUICK, tls=tls), Verdict.HEALTHY), (QUICK, Verdict.UNHEALTHY)):
            async with Gateway(config(server.address, check=check, tls=tls)) as gateway:
                await comes_to(gateway, server.address, verdict)


async def test_a_reload_knows_who_serves_before_the_first_call() -> None:
    async with servers("SERVING", "NOT_SERVING", "SERVING") as (old, no, yes):
        async with Gateway(config(old.address)) as gateway, Load(gateway.addresses["main"]) as load:
            await load.more()
            await gateway.apply(config(no.address, yes.address))
            assert known(gateway, yes.address).verdict is Verdict.HEALTHY
            assert known(gateway, no.address).verdict is Verdict.UNHEALTHY
            await load.more()
            before = len(no.calls)
            await load.more()
            assert len(no.calls) == before
            await gateway.apply(config(no.address, check=None))
            assert known(gateway, no.address).verdict is Verdict.UNKNOWN
            await load.more()
            await until("calls for who is not asked", lambda: len(no.calls) > before)


async def test_who_is_drained_gets_nothing_even_in_a_panic() -> None:
    async with (
        servers("NOT_SERVING", "NOT_SERVING") as (a, b),
        Gateway(config(a.address, b.address, balance=Balance())) as gateway,
    ):
        await call(gateway)
        assert a.calls
        assert b.calls
        gateway.administer("app", a.address, Word.DRAINED, "maintenance")
        await call(gateway, 4)
        before = len(a.calls)
        await call(gateway)
        await gateway.apply(config(a.address, b.address, balance=Balance(), workers=1))
        await call(gateway)
        assert len(a.calls) == before
        assert known(gateway, a.address).verdict is Verdict.DRAINED
        gateway.administer("app", a.address, Word.ENABLED)
        await call(gateway)
        assert len(a.calls) > before
        for backend, address in (("app", "10.0.0.1:1"), ("nobody", a.address)):
            with pytest.raises(KeyError):
                gateway.administer(backend, address, Word.DRAINED)


async def test_what_is_known_is_shown() -> None:
    from gateway.admin.server import application

    async with (
        servers("SERVING", "NOT_SERVING") as (yes, no),
        Gateway(config(yes.address, no.address)) as gateway,
    ):
        await call(gateway, 1)
        runner = web.AppRunner(application(gateway, None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0]
        async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
            async with session.get("/clusters") as answer:
                (cluster,) = await answer.json()
            async with session.get("/status.json") as answer:
                status = await answer.json()
            async with session.get("/metrics") as answer:
                metrics = await answer.text()
        await runner.cleanup()
        rows = {row["address"]: (row["health"], row["observed"]) for row in cluster["endpoints"]}
        assert rows == {yes.address: ("healthy", "HEALTHY"), no.address: ("unhealthy", "NOT_SERVING")}
        assert status["backends"][0]["health"] == {"healthy": 1, "unknown": 0, "unhealthy": 1, "drained": 0}
        lines = metrics.splitlines()
        assert 'tidegate_backend_endpoint_health{backend="app",verdict="unhealthy"} 1.0' in lines
        assert 'tidegate_health_checks_total{backend="app",outcome="NOT_SERVING"} 1.0' in lines
        assert 'tidegate_health_changes_total{backend="app",change="observed",reason="NotServing"} 1.0' in lines
