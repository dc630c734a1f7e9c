"""Looks whether a part of the world does its work. A probe is data; `Prober` carries it out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import aiohttp
import grpc
from grpc_health.v1 import health_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class GrpcHealthProbe:
    """`grpc.health.v1.Health/Check` at `host:port` has to answer SERVING."""

    name: str
    address: str
    service: str = ""


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """A request that has to be answered with `status`."""

    name: str
    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    status: int = 200


Probe = GrpcHealthProbe | HttpProbe


class Prober:
    """`async with Prober() as prober`; one for all probes, so that connections are kept."""

    def __init__(self) -> None:
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._session.close()
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))

    async def check(self, probe: Probe) -> str | None:
        """None when all is well, else what is not."""
        match probe:
            case GrpcHealthProbe():
                return await self._check_grpc(probe)
            case HttpProbe():
                return await self._check_http(probe)

    async def _check_grpc(self, probe: GrpcHealthProbe) -> str | None:
        if probe.address not in self._channels:
            self._channels[probe.address] = grpc.aio.insecure_channel(probe.address)
        check: grpc.aio.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]
        check = self._channels[probe.address].unary_unary(
            "/grpc.health.v1.Health/Check",
            health_pb2.HealthCheckRequest.SerializeToString,
            health_pb2.HealthCheckResponse.FromString,
        )
        try:
            response = await check(health_pb2.HealthCheckRequest(service=probe.service), timeout=TIMEOUT_SECONDS)
        except grpc.aio.AioRpcError as error:
            return f"health check fails: {error.code().name}"
        if response.status == health_pb2.HealthCheckResponse.SERVING:
            return None
        return f"is {health_pb2.HealthCheckResponse.ServingStatus.Name(response.status)}"

    async def _check_http(self, probe: HttpProbe) -> str | None:
        what = f"{probe.method} {probe.url}"
        try:
            async with self._session.request(
                probe.method, probe.url, headers=probe.headers, data=probe.body
            ) as response:
                text = await response.content.read(200)
        except TimeoutError:
            return f"{what} has no answer within {TIMEOUT_SECONDS:g} s"
        except aiohttp.ClientError as error:
            return f"{what} fails: {error}"
        if response.status == probe.status:
            return None
        return f"{what} answers {response.status} instead of {probe.status}: {text.decode(errors='replace').strip()}"
