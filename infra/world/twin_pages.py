"""The twin's own pages: where its load balancer listens on this machine, and what goes through it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp

from infra.world.errors import WorldError

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_SECONDS = 5.0


class TwinError(WorldError):
    """A page of the twin cannot be had; the message says which and why."""


@dataclass(frozen=True, slots=True)
class FrontListener:
    """Port `port` of the virtual `address`, as clients in `client_region` have it: at `listen`, `host:port`."""

    client_region: str
    address: str
    port: int
    protocol: str
    listen: str
    ready: bool


@dataclass(frozen=True, slots=True)
class EndpointTraffic:
    """An endpoint as the load balancer sees it from all client regions: `health` is the worst, rates are a second's."""

    health: str
    requests: float = 0.0
    failures: float = 0.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """By endpoint, `host:port`."""

    endpoints: Mapping[str, EndpointTraffic]


NO_TRAFFIC = Traffic({})


class TwinPages:
    """`url` ends before `/twin/v1`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def listeners(self) -> tuple[FrontListener, ...]:
        """TwinError."""
        return read_listeners(await self._get("listeners"))

    async def traffic(self) -> Traffic:
        """TwinError."""
        return read_traffic(await self._get("traffic"))

    async def _get(self, name: str) -> dict[str, Any]:
        url = f"{self._url}/twin/v1/{name}"
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            async with self._session.get(url, timeout=timeout) as response:
                if response.status != 200:
                    raise TwinError(f"GET {url} answers {response.status}")
                page: dict[str, Any] = await response.json()
        except (aiohttp.ClientError, ValueError) as error:
            raise TwinError(f"GET {url} fails: {error}") from None
        except TimeoutError:
            raise TwinError(f"GET {url} has no answer within {TIMEOUT_SECONDS:g} s") from None
        return page


def read_listeners(page: Mapping[str, Any]) -> tuple[FrontListener, ...]:
    return tuple(
        FrontListener(
            client_region=entry["clientRegion"],
            address=entry["address"],
            port=entry["port"],
            protocol=entry["protocol"],
            listen=entry["listen"],
            ready=entry["ready"],
        )
        for entry in page["listeners"]
    )


def read_traffic(page: Mapping[str, Any]) -> Traffic:
    endpoints: dict[str, EndpointTraffic] = {}
    for service in page["services"]:
        for entry in service["endpoints"]:
            name = entry["endpoint"]
            endpoints[name] = _sum(endpoints.get(name), entry)
    return Traffic(endpoints)


def _sum(before: EndpointTraffic | None, entry: Mapping[str, Any]) -> EndpointTraffic:
    requests, failures = entry["requestsPerSecond"], entry["failuresPerSecond"]
    if before is None:
        return EndpointTraffic(entry["health"], requests, failures)
    health = before.health if before.health != "HEALTHY" else entry["health"]
    return EndpointTraffic(health, before.requests + requests, before.failures + failures)
