"""A twin of the tests' own, and a client that speaks plain HTTP to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from infra.twin.process import TwinOptions, twin

Json = dict[str, Any]

PROJECT = "demo"
ZONE = "europe-west1-b"


@dataclass(frozen=True, slots=True)
class Client:
    """`base` ends before `/compute/v1`."""

    session: aiohttp.ClientSession
    base: str

    async def call(self, verb: str, path: str, body: Any = None, **query: str) -> tuple[int, Json]:
        """(status, body); `path` is below the project."""
        url = f"{self.base}/compute/v1/projects/{PROJECT}/{path}"
        async with self.session.request(verb, url, json=body, params=query) as response:
            return response.status, await response.json()

    async def get(self, path: str, **query: str) -> Json:
        status, body = await self.call("GET", path, **query)
        assert status == 200, body
        return body

    async def done(self, verb: str, path: str, body: Any = None, **query: str) -> Json:
        """A mutation that succeeds; its operation."""
        status, operation = await self.call(verb, path, body, **query)
        assert status == 200, operation
        assert (operation["status"], operation.get("error")) == ("DONE", None)
        return operation

    async def refused(self, verb: str, path: str, body: Any = None, **query: str) -> tuple[int, str, str]:
        """(status, reason, message) of a call that is refused."""
        status, answer = await self.call(verb, path, body, **query)
        assert status >= 400, answer
        first = answer["error"]["errors"][0]
        assert answer["error"]["code"] == status
        return status, first["reason"], first["message"]

    async def own(self, verb: str, path: str, body: Any = None) -> tuple[int, Json]:
        """The twin's own pages."""
        async with self.session.request(verb, f"{self.base}/twin/v1/{path}", json=body) as response:
            return response.status, await response.json()

    async def make_chain(self) -> None:
        """A whole load balancer: address, check, group with an endpoint, service, map, proxy, rule."""
        await self.done("POST", "global/addresses", {"name": "vip"})
        check = {"name": "check", "type": "GRPC", "grpcHealthCheck": {"port": 50051}}
        await self.done("POST", "global/healthChecks", check)
        await self.done("POST", f"zones/{ZONE}/networkEndpointGroups", {"name": "group", "defaultPort": 50051})
        member = {"ipAddress": "10.0.0.1", "instance": "vm-1"}
        group = f"zones/{ZONE}/networkEndpointGroups/group"
        await self.done("POST", f"{group}/attachNetworkEndpoints", {"networkEndpoints": [member]})
        service = {
            "name": "service",
            "protocol": "HTTP2",
            "loadBalancingScheme": "EXTERNAL_MANAGED",
            "healthChecks": ["global/healthChecks/check"],
            "backends": [{"group": group, "balancingMode": "RATE", "maxRatePerEndpoint": 100}],
        }
        await self.done("POST", "global/backendServices", service)
        await self.done("POST", "global/urlMaps", {"name": "map", "defaultService": "global/backendServices/service"})
        await self.done("POST", "global/targetHttpProxies", {"name": "proxy", "urlMap": "global/urlMaps/map"})
        rule = {
            "name": "rule",
            "target": "global/targetHttpProxies/proxy",
            "IPAddress": "global/addresses/vip",
            "portRange": "80",
            "loadBalancingScheme": "EXTERNAL_MANAGED",
        }
        await self.done("POST", "global/forwardingRules", rule)


@asynccontextmanager
async def running(options: TwinOptions) -> AsyncIterator[Client]:
    """A twin until the end of the block."""
    async with twin(options) as address, aiohttp.ClientSession() as session:
        yield Client(session, f"http://{address}")


Start = Callable[[TwinOptions], Awaitable[Client]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts twins that end with the test."""
    async with AsyncExitStack() as stack:

        async def start_one(options: TwinOptions) -> Client:
            return await stack.enter_async_context(running(options))

        yield start_one


@pytest.fixture
async def client(start: Start) -> Client:
    return await start(TwinOptions())
