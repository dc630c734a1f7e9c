"""A gateway whose endpoints fail real calls: who fails again and again is left out, and comes back."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import grpc
import pytest

from gateway import Gateway
from gateway.balance.ejection import EjectionKind
from gateway.balance.outliers import EjectionReport
from gateway.configuration.model import (
    AccessLog,
    Admin,
    Backend,
    FailurePercentage,
    GatewayConfig,
    Listener,
    OutlierDetection,
    Route,
    SuccessRate,
)
from tests.gateway.backends import SERVICE
from tests.gateway.backends import Backend as Server

FAIL = f"/{SERVICE}/Fail"


def config(*targets: str, detection: OutlierDetection | None) -> GatewayConfig:
    app = Backend("app", targets, outlier_detection=detection)
    return GatewayConfig(
        listeners=(Listener("main", "127.0.0.1:0"),),
        backends=(app,),
        routes=(Route("all", (("app", 1),)),),
        admin=Admin(port=0),
        access_log=AccessLog(path=""),
        workers=2,
    )


async def refuse(context: Any) -> None:
    await context.abort(grpc.StatusCode.UNAVAILABLE, "not today")


async def succeed(context: Any) -> None:
    return None


async def codes(channel: grpc.aio.Channel, calls: int) -> list[grpc.StatusCode]:
    call: Any = channel.unary_unary(FAIL)
    return [await call(b"", timeout=30).code() for _ in range(calls)]


@pytest.mark.parametrize("detection", [OutlierDetection(base_ejection=1.0), None], ids=["on", "off"])
async def test_who_fails_again_and_again_is_left_out_for_a_while(detection: OutlierDetection | None) -> None:
    async with Server() as good, Server() as bad:
        good.fail, bad.fail = succeed, refuse
        async with (
            Gateway(config(good.address, bad.address, detection=detection)) as gateway,
            grpc.aio.insecure_channel(gateway.addresses["main"]) as channel,
        ):
            await codes(channel, 30)
            assert good.calls
            assert len(bad.calls) >= 5
            if detection is None:
                assert grpc.StatusCode.UNAVAILABLE in await codes(channel, 4)
                return
            before = len(bad.calls)
            assert await codes(channel, 10) == [grpc.StatusCode.OK] * 10
            assert len(bad.calls) == before
            bad.fail = succeed

            async def back() -> None:
                while len(bad.calls) == before:
                    assert await codes(channel, 2) == [grpc.StatusCode.OK] * 2

            await asyncio.wait_for(back(), 20)


async def test_a_server_that_went_away_is_left_out_too() -> None:
    async with Server() as good, Server() as gone:
        good.fail = gone.fail = succeed
        async with (
            Gateway(config(good.address, gone.address, detection=OutlierDetection(base_ejection=60.0))) as gateway,
            grpc.aio.insecure_channel(gateway.addresses["main"]) as channel,
        ):
            await codes(channel, 10)
            await gone.stop()

            async def ejected() -> None:
                while '"unhealthy"' not in gateway.core.status():
                    await codes(channel, 2)

            await asyncio.wait_for(ejected(), 20)
            assert await codes(channel, 20) == [grpc.StatusCode.OK] * 20


def failing(backend: Server, percent: int) -> Any:
    """Fails so many of each hundred calls, spread evenly."""

    async def answer(context: Any) -> None:
        number = len(backend.calls) * percent
        if number % 100 < percent:
            await context.abort(grpc.StatusCode.INTERNAL, "now and then")

    return answer


SUCCESS_RATE = OutlierDetection(interval=0.2, base_ejection=600.0, success_rate=SuccessRate(1.9, 5, 10))
FAILURE_PERCENTAGE = OutlierDetection(
    interval=0.2, base_ejection=600.0, failure_percentage=FailurePercentage(50, 5, 10)
)


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize(
    ("detection", "kind"),
    [(SUCCESS_RATE, "success-rate"), (FAILURE_PERCENTAGE, "failure-percentage")],
    ids=["success-rate", "failure-percentage"],
)
async def test_who_fails_most_calls_though_never_in_a_row_is_left_out(
    detection: OutlierDetection, kind: EjectionKind, workers: int
) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(Server()) for _ in range(6)]
        for server in servers:
            server.fail = succeed
        bad = servers[3]
        bad.fail = failing(bad, 60)
        detected = replace(config(*(server.address for server in servers), detection=detection), workers=workers)
        gateway = await stack.enter_async_context(Gateway(detected))
        # Connections go to the worker that has the fewest, so all workers have a part.
        channels = [
            await stack.enter_async_context(
                grpc.aio.insecure_channel(gateway.addresses["main"], [("grpc.use_local_subchannel_pool", 1)])
            )
            for _ in range(workers)
        ]

        async def ejected() -> EjectionReport:
            while not (report := gateway.facts().ejections["app"]).standing:
                await asyncio.gather(*(codes(channel, 24) for channel in channels))
            return report

        report = await asyncio.wait_for(ejected(), 60)
        assert report.counts == {kind: 1}
        (standing,) = report.standing.items()
        assert (standing[0], standing[1].kind, standing[1].times) == (bad.address, kind, 1)
        await asyncio.gather(*(codes(channel, 1) for channel in channels))
        before, others = len(bad.calls), sum(len(server.calls) for server in servers)
        for channel in channels:
            assert set(await codes(channel, 30)) == {grpc.StatusCode.OK}
        assert len(bad.calls) == before
        assert sum(len(server.calls) for server in servers) == others + 30 * workers
        assert all(server.calls for server in servers)


async def test_no_more_are_left_out_than_allowed() -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(Server()) for _ in range(6)]
        for number, server in enumerate(servers):
            server.fail = succeed if number < 3 else failing(server, 80)
        detection = replace(FAILURE_PERCENTAGE, consecutive_errors=0, max_ejected_percent=34)
        targets = config(*(server.address for server in servers), detection=detection)
        gateway = await stack.enter_async_context(Gateway(targets))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(gateway.addresses["main"]))

        async def two_are_out() -> set[str]:
            while len(standing := gateway.facts().ejections["app"].standing) < 2:
                await codes(channel, 24)
            return set(standing)

        out = await asyncio.wait_for(two_are_out(), 60)
        (left,) = [server for server in servers[3:] if server.address not in out]
        before, now = len(left.calls), asyncio.get_running_loop().time
        until = now() + 3 * detection.interval
        while now() < until:
            await codes(channel, 24)
        assert len(left.calls) > before
        report = gateway.facts().ejections["app"]
        assert set(report.standing) == out
        assert report.counts == {"failure-percentage": 2}
