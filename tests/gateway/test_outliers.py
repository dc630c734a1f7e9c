"""A gateway whose endpoints fail real calls: who fails again and again is left out, and comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from gateway import Gateway
from gateway.configuration.model import AccessLog, Admin, Backend, GatewayConfig, Listener, OutlierDetection, Route
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
