"""Near endpoints first, and those of other zones for what the near ones cannot carry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import Gateway
from gateway.admin.clusters import clusters
from gateway.configuration import load_file
from gateway.configuration.model import GatewayConfig, OutlierDetection
from tests.gateway.backends import Backend as Server
from tests.gateway.backends import Client, Counted
from tests.gateway.core import until

WORKERS = (1, 4)
CALLS = 1_200


class Zones(Counted):
    """Two servers in zone `a`, where the gateway runs, and two in `b`; `counts` are calls since the last look."""

    def __init__(self, servers: list[Server], gateway: Gateway, clients: list[Client]) -> None:
        super().__init__(servers)
        self.gateway = gateway
        self.clients = clients

    async def call(self, times: int) -> list[int]:
        """Calls from every client in turn, one after the other for each; how many each server got."""
        self.counts()

        async def from_one(client: Client) -> None:
            for _ in range(times // len(self.clients)):
                await client.unary(b"", timeout=30)

        await asyncio.gather(*map(from_one, self.clients))
        return self.counts()

    def set_health(self, *states: Any) -> None:
        addresses = [server.address for server in self.servers]
        self.gateway.core.set_health("app", list(zip(addresses, states, strict=True)))

    def cluster(self) -> dict[str, Any]:
        (cluster,) = clusters(self.gateway.facts(), self.gateway.core)
        return cluster

    async def spread_over(self, *servers: int) -> None:
        """Waits until every worker is connected to some of the servers, and calls have gone to each of them."""
        workers = self.gateway.workers

        async def all_there() -> bool:
            counts = await self.call(40 * len(self.clients))
            rows = {row["address"]: row for row in self.cluster()["endpoints"]}
            open_ = [rows[self.servers[at].address]["connections"] for at in servers]
            return min(open_) >= workers and all(counts[at] for at in servers)

        for _ in range(100):
            if await all_there():
                return
        raise AssertionError(f"calls do not reach {servers}")


def config(directory: Path, servers: list[Server], workers: int, balance: str) -> GatewayConfig:
    targets = [
        f"{{address: '{server.address}', zone: {'ab'[at // 2]}, metadata: {{at: '{at}'}}}}"
        for at, server in enumerate(servers)
    ]
    path = directory / "gateway.yaml"
    path.write_text(f"""\
apiVersion: tidegate.dev/v1
kind: Gateway
spec:
  zone: a
  workers: {workers}
  listeners: [{{name: main, address: "127.0.0.1:0"}}]
  admin: {{port: 0}}
  accessLog: {{path: "off"}}
  backends:
  - name: app
    targets: [{", ".join(targets)}]
    balance: {{{balance}}}
""")
    return load_file(path).config


@asynccontextmanager
async def zones(
    directory: Path, workers: int, balance: str = "localities: prefer-local", detection: OutlierDetection | None = None
) -> AsyncIterator[Zones]:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(Server()) for _ in range(4)]
        given = config(directory, servers, workers, balance)
        given = replace(given, backends=(replace(given.backends[0], outlier_detection=detection),))
        gateway = await stack.enter_async_context(Gateway(given))
        # The acceptor hands each of them to another worker.
        clients = [await stack.enter_async_context(Client(gateway.addresses["main"])) for _ in range(workers)]
        yield Zones(servers, gateway, clients)


@pytest.mark.parametrize("workers", WORKERS)
async def test_what_the_near_cannot_carry_goes_to_the_other_zone(workers: int, tmp_path: Path) -> None:
    async with zones(tmp_path, workers) as made:
        await made.spread_over(0, 1)
        assert (await made.call(CALLS))[2:] == [0, 0]
        # One of two is 50 %, times 1.4.
        made.set_health("unhealthy", "healthy", "healthy", "healthy")
        await made.spread_over(1, 2, 3)
        counts = await made.call(CALLS)
        assert counts[0] == 0
        assert abs(counts[1] - 0.7 * CALLS) < 0.1 * CALLS, counts
        assert abs(counts[2] - counts[3]) <= 2 * workers, counts
        made.set_health("unhealthy", "unhealthy", "healthy", "healthy")
        await made.spread_over(2, 3)
        assert (await made.call(40))[:2] == [0, 0]
        made.set_health("healthy", "healthy", "healthy", "healthy")
        await made.spread_over(0, 1)
        assert (await made.call(40))[2:] == [0, 0]


@pytest.mark.parametrize("workers", WORKERS)
async def test_near_ones_that_fail_calls_are_left_to_the_other_zone(workers: int, tmp_path: Path) -> None:
    async with zones(tmp_path, workers, detection=OutlierDetection(2, 600.0, max_ejected_percent=50)) as made:
        await made.spread_over(0, 1)
        await made.servers[0].stop()

        async def ejected() -> bool:
            await asyncio.gather(*(client.unary(b"", timeout=30).code() for client in made.clients))
            rows = made.cluster()["endpoints"]
            return any(row["ejected"] for row in rows if row["address"] == made.servers[0].address)

        for _ in range(500):
            if await ejected():
                break
        await made.spread_over(1, 2, 3)
        counts = await made.call(CALLS)
        assert counts[0] == 0
        assert abs(counts[1] - 0.7 * CALLS) < 0.1 * CALLS, counts


async def test_zones_do_not_count_where_nobody_asks_for_it(tmp_path: Path) -> None:
    async with zones(tmp_path, 1, "policy: round-robin") as made:
        await made.spread_over(0, 1, 2, 3)
        assert await made.call(40) == [10, 10, 10, 10]


async def test_what_each_zone_gets_is_shown(tmp_path: Path) -> None:
    async with zones(tmp_path, 1) as made:
        made.set_health("unhealthy", "healthy", "healthy", "healthy")

        def shown() -> bool:
            shares = [(one["zone"], one["endpoints"], one["healthy"], one["share"]) for one in made.cluster()["zones"]]
            return shares == [("a", 2, 1, 0.7), ("b", 2, 2, 0.3)]

        await until("the shares", shown)
        rows = {row["metadata"]["at"]: row for row in made.cluster()["endpoints"]}
        assert [(rows[at]["zone"], rows[at]["distance"], rows[at]["share"]) for at in "0123"] == [
            ("a", 0, 0.0),
            ("a", 0, 0.7),
            ("b", 1, 0.15),
            ("b", 1, 0.15),
        ]
