"""How a backend's endpoints share its requests: policies, weights, priorities and health."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import pytest

from tests.gateway.backends import Backend, Client, Counted, failure
from tests.gateway.core import Serving, document, until
from tests.support.ports import free_port

WORKERS = (1, 4)
PANICS_NEVER = {"overprovisioning_percent": 140, "panic_threshold_percent": 0}


class World(Counted):
    """Some servers behind one gateway; `counts` since the last look."""

    def __init__(self, servers: list[Backend], serving: Serving, client: Client) -> None:
        super().__init__(servers)
        self.serving = serving
        self.client = client

    async def call(self, times: int, **fields: Any) -> list[int]:
        """Makes calls one after the other; how many each server got."""
        self.counts()
        for _ in range(times):
            await self.client.unary(b"", timeout=30, **fields)
        return self.counts()

    def set_health(self, *states: Any) -> None:
        addresses = [server.address for server in self.servers]
        self.serving.core.set_health("app", list(zip(addresses, states, strict=True)))


@asynccontextmanager
async def world(*endpoints: dict[str, Any], workers: int = 1, **balance: Any) -> AsyncIterator[World]:
    """A server for each of `endpoints`, whose weight and priority it says; every worker is connected to each."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(Backend()) for _ in endpoints]
        known = [{"address": server.address, **endpoint} for server, endpoint in zip(servers, endpoints, strict=True)]
        app = {"name": "app", "endpoints": known, "balance": balance}
        serving = stack.enter_context(Serving(document(app), workers))
        client = await stack.enter_async_context(Client(serving.address))
        made = World(servers, serving, client)
        yield made
        await serving.idle()


async def connected(made: World, servers: int) -> World:
    """Calls until the worker that has the client holds a connection to each of so many servers."""
    await made.call(1)

    async def all_there() -> bool:
        await asyncio.gather(*(made.client.unary(b"", timeout=30) for _ in range(20)))
        return made.serving.number("upstream_connections_total") >= servers

    for _ in range(200):
        if await all_there():
            return made
        await asyncio.sleep(0.01)
    raise AssertionError("not connected to every endpoint")


@pytest.mark.parametrize("workers", WORKERS)
async def test_a_round_is_exactly_even(workers: int) -> None:
    async with world({}, {}, {}, workers=workers) as made:
        await connected(made, 3)
        assert await made.call(90) == [30, 30, 30]


async def test_a_round_follows_the_weights() -> None:
    async with world({"weight": 1}, {"weight": 2}, {"weight": 5}) as made:
        await connected(made, 3)
        assert await made.call(80) == [10, 20, 50]


async def test_the_less_loaded_endpoint_gets_more() -> None:
    """One of two holds calls back: nearly nothing else goes to it."""
    async with world({}, {}, policy="least-request") as made:
        await connected(made, 2)
        made.counts()
        streams = [made.client.bidi(timeout=60) for _ in range(20)]
        for stream in streams:
            await stream.write(b"x")
            assert await stream.read() == b"x"
        held = made.counts()
        assert abs(held[-2] - held[-1]) <= 6, held
        for stream in streams:
            stream.cancel()
        await made.serving.idle()


@pytest.mark.parametrize("policy", ["ring-hash", "maglev"])
@pytest.mark.parametrize(
    ("hash_on", "field"), [({"header": "x-user"}, ("x-user", "{}")), ({"cookie": "id"}, ("cookie", "a=b; id={}"))]
)
async def test_one_users_calls_go_to_one_endpoint(policy: str, hash_on: Any, field: tuple[str, str]) -> None:
    async with world({}, {}, {}, policy=policy, hash_on=hash_on) as made:
        await connected(made, 3)
        used: set[int] = set()
        for user in range(12):
            counts = await made.call(5, metadata=[(field[0], field[1].format(user))])
            assert sorted(counts) == [0, 0, 5], f"user {user}: {counts}"
            used.add(counts.index(5))
        assert len(used) > 1


async def test_one_clients_calls_go_to_one_endpoint() -> None:
    async with world({}, {}, {}, policy="maglev", hash_on="source") as made:
        await made.call(1)
        await until("a connection", lambda: made.serving.number("upstream_connections_total") >= 1)
        assert sorted(await made.call(20)) == [0, 0, 20]


@pytest.mark.parametrize("workers", WORKERS)
async def test_who_does_not_serve_gets_nothing_new(workers: int) -> None:
    async with world({}, {}, {}, workers=workers, priorities=PANICS_NEVER) as made:
        await connected(made, 3)
        stream = made.client.bidi(timeout=60)
        await stream.write(b"1")
        assert await stream.read() == b"1"
        made.set_health("unhealthy", "healthy", "unknown")
        await made.call(4)
        assert await made.call(20) == [0, 20, 0]
        await stream.write(b"2")
        assert await stream.read() == b"2"
        await stream.done_writing()
        made.set_health("healthy", "healthy", "healthy")
        await made.call(4)
        assert await made.call(30) == [10, 10, 10]


async def test_who_was_ill_gets_another_connection_and_what_ran_on_the_old_one_goes_on() -> None:
    async with world({}, {}, priorities=PANICS_NEVER) as made:
        await connected(made, 2)
        ill = made.servers[0]
        stream = made.client.bidi(timeout=60)
        other = made.client.bidi(timeout=60)
        for one in (stream, other):
            await one.write(b"1")
            assert await one.read() == b"1"
        before = {call.peer for call in ill.calls}
        made.set_health("unhealthy", "healthy")
        await made.call(4)
        for one in (stream, other):
            await one.write(b"2")
            assert await one.read() == b"2"
        made.set_health("healthy", "healthy")
        while await made.call(1) != [1, 0]:
            pass
        assert ill.calls[-1].peer not in before
        for one in (stream, other):
            await one.done_writing()


async def test_with_too_few_healthy_ones_health_is_ignored() -> None:
    async with world({}, {}, {}) as made:
        await connected(made, 3)
        made.set_health("unhealthy", "unhealthy", "healthy")
        await made.call(4)
        assert await made.call(30) == [10, 10, 10]


async def test_where_health_is_never_ignored_nobody_serves_while_all_are_ill() -> None:
    async with world({}, {}, priorities=PANICS_NEVER) as made:
        await connected(made, 2)
        made.set_health("unhealthy", "unhealthy")
        error = await failure(made.client.unary(b"", timeout=30))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        made.set_health("unhealthy", "healthy")
        assert await made.call(4) == [0, 4]


async def test_the_next_priority_takes_over() -> None:
    async with world({}, {"priority": 1}, priorities=PANICS_NEVER) as made:
        assert await made.call(10) == [10, 0]
        made.set_health("unhealthy", "healthy")
        await made.call(4)
        assert await made.call(10) == [0, 10]
        made.set_health("healthy", "unknown")
        await made.call(4)
        assert await made.call(10) == [10, 0]


async def test_while_the_best_is_away_the_next_priority_serves_and_no_other() -> None:
    """Nobody's health is known: the connections alone tell. The order of the list says nothing."""
    async with Backend() as last, Backend() as gone:
        best, next_best = f"127.0.0.1:{free_port()}", gone.address
        await gone.stop()
        endpoints = [
            {"address": last.address, "priority": 2},
            {"address": best},
            {"address": next_best, "priority": 1},
        ]
        app = {"name": "app", "endpoints": endpoints, "retry": {"attempts": 2}}
        with Serving(document(app)) as serving:
            async with Client(serving.address) as client:
                for _ in range(10):
                    assert await client.unary(b"x", timeout=30) == b"x"
                assert len(last.calls) == 10
                async with Backend(next_best) as back:
                    while not back.calls:
                        assert await client.unary(b"x", timeout=30) == b"x"
                    before = len(last.calls)
                    for _ in range(20):
                        assert await client.unary(b"x", timeout=30) == b"x"
                    assert len(last.calls) == before
            await serving.idle()


async def test_a_backend_that_comes_back_is_new() -> None:
    """Whoever says how endpoints are has forgotten those of a backend that was gone, and would never take it back."""
    async with world({}, priorities=PANICS_NEVER) as made:
        made.set_health("unhealthy")
        snapshot = made.serving.snapshot
        made.serving.apply(version="2", backends=[], routes=[])
        made.serving.apply(version="3", backends=snapshot["backends"], routes=snapshot["routes"])
        assert await made.call(3) == [3]


async def test_health_of_nobody_known_is_refused() -> None:
    async with world({}) as made:
        with pytest.raises(KeyError):
            made.serving.core.set_health("nobody", [])
        with pytest.raises(ValueError, match="address"):
            made.serving.core.set_health("app", [("nowhere", "healthy")])
        made.serving.core.set_health("app", [("10.0.0.1:1", "unhealthy")])
        assert await made.call(3) == [3]


async def test_changes_of_endpoints_lose_no_call() -> None:
    """A thousand changes while calls run: endpoints come and go, one always stays."""
    async with world({}, {}, {}) as made:
        core, addresses = made.serving.core, [server.address for server in made.servers]

        async def call() -> None:
            for _ in range(100):
                assert await made.client.unary(b"x", timeout=30) == b"x"

        async def change() -> None:
            for turn in range(500):
                gone = addresses[turn % 3]
                core.change_endpoints("app", [], [gone])
                core.change_endpoints("app", [(gone, 1 + turn % 2, 0, 0)], [])
                await asyncio.sleep(0)

        await asyncio.gather(change(), *(call() for _ in range(10)))
        core.change_endpoints("app", [(addresses[0], 1, 0, 0)], addresses[1:])
        await made.call(4)
        assert await made.call(20) == [20, 0, 0]
        with pytest.raises(KeyError):
            core.change_endpoints("nobody", [], [])


async def test_ten_thousand_endpoints_come_and_go() -> None:
    async with world({}) as made:
        core, live = made.serving.core, made.servers[0].address
        await made.call(1)
        far = [f"127.1.{number // 250}.{1 + number % 250}:9" for number in range(10_000)]
        core.change_endpoints("app", [(address, 1, 1, 0) for address in far], [])
        core.set_health("app", [(live, "healthy")])
        assert await made.call(20) == [20]
        for address in far[:1_000]:
            core.change_endpoints("app", [], [address])
        assert await made.call(20) == [20]
        core.change_endpoints("app", [], far[1_000:])
        assert await made.call(20) == [20]
