"""A second attempt beside a slow first: the first response headers win, the other attempt is reset."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import h2.errors
import h2.events
import pytest

from tests.gateway.backends import Backend, Client, failure
from tests.gateway.core import Serving, document, until
from tests.gateway.raw import Peer, RawBackend, requests

WORKERS = (1, 4)


def hedged(*addresses: str, delay_ms: int = 20, **fields: Any) -> dict[str, Any]:
    retry = {"attempts": 1, "grpc_statuses": [14], "hedge": {"delay_ms": delay_ms}, "back_off_ms": 1}
    return {"name": "app", "endpoints": [{"address": address} for address in addresses], "retry": {**retry, **fields}}


def snapshot(app: dict[str, Any]) -> dict[str, Any]:
    """Calls of Unary, which tests connect with, are not hedged."""
    return document(app, methods=[{"name": "test.Gate.Unary", "retry": {"attempts": 0}}])


async def connect_all(serving: Serving, client: Client, endpoints: int) -> None:
    """Until the worker that has the client holds a connection to each endpoint."""
    for _ in range(300):
        await asyncio.gather(*(client.unary(b"", timeout=30) for _ in range(8)))
        if serving.number("upstream_connections_total") >= endpoints:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not connected to every endpoint")


@asynccontextmanager
async def slow_and_quick(workers: int = 1, **fields: Any) -> AsyncIterator[tuple[Serving, Client, Backend, Backend]]:
    async with AsyncExitStack() as stack:
        slow, quick = [await stack.enter_async_context(Backend()) for _ in range(2)]
        quick.release.set()
        serving = stack.enter_context(Serving(snapshot(hedged(slow.address, quick.address, **fields)), workers))
        client = await stack.enter_async_context(Client(serving.address))
        await connect_all(serving, client, 2)
        slow.calls.clear()
        quick.calls.clear()
        yield serving, client, slow, quick
        await serving.idle()


@pytest.mark.parametrize("workers", WORKERS)
async def test_the_first_answer_wins_and_the_other_attempt_is_reset(workers: int) -> None:
    async with slow_and_quick(workers) as (serving, client, slow, quick):
        for number in range(10):
            body = b"%d" % number * 1_000
            assert await client.sleep(body, timeout=30) == body
        assert len(quick.calls) == 10
        won = sum(bool(call.values("grpc-previous-rpc-attempts")) for call in quick.calls)
        assert serving.number("hedges_sent_total") >= serving.number("hedges_won_total") == won >= 4
        for call in slow.calls:
            await asyncio.wait_for(call.ended.wait(), 30)
            assert call.cancelled


async def test_an_answer_in_time_is_not_hedged() -> None:
    async with slow_and_quick(delay_ms=20_000) as (serving, client, slow, _):
        slow.release.set()
        await asyncio.gather(*(client.sleep(b"x", timeout=30) for _ in range(50)))
        assert serving.number("hedges_sent_total") == 0


async def test_the_first_attempt_may_still_win() -> None:
    """Both are held; whichever is let go answers, and the other is reset."""
    async with slow_and_quick() as (serving, client, slow, quick):
        quick.release.clear()
        call = asyncio.ensure_future(client.sleep(b"x", timeout=60))
        await until("both attempts", lambda: len(slow.calls) == len(quick.calls) == 1)
        first, other = sorted((slow, quick), key=lambda app: bool(app.calls[0].values("grpc-previous-rpc-attempts")))
        first.release.set()
        assert await call == b"x"
        await asyncio.wait_for(other.calls[0].ended.wait(), 30)
        assert other.calls[0].cancelled
        assert serving.number("hedges_won_total") == 0


async def test_a_client_that_goes_takes_both_attempts_with_it() -> None:
    async with slow_and_quick() as (_, client, slow, quick):
        quick.release.clear()
        call = client.sleep(b"x", timeout=60)
        await until("both attempts", lambda: len(slow.calls) == len(quick.calls) == 1)
        call.cancel()
        for app in (slow, quick):
            await asyncio.wait_for(app.calls[0].ended.wait(), 30)
            assert app.calls[0].cancelled


async def test_a_streams_answers_come_from_one_server() -> None:
    async with slow_and_quick() as (_, client, slow, quick):
        quick.release.clear()
        stream = client.watch(b"x", timeout=60)
        await stream.initial_metadata()
        slow.release.set()
        quick.release.set()
        assert [one async for one in stream] == [b"x"]


async def test_a_stream_of_requests_is_not_hedged() -> None:
    """Its request is not whole."""
    async with slow_and_quick() as (_, client, slow, quick):
        call = client.join(timeout=60)
        await call.write(b"1")
        # Others' delays pass meanwhile.
        assert await client.sleep(b"x", timeout=30) == b"x"
        assert await client.sleep(b"x", timeout=30) == b"x"
        await call.write(b"2")
        await call.done_writing()
        assert await call == b"12"
        assert len([one for one in [*slow.calls, *quick.calls] if one.method == "Join"]) == 1


async def test_a_hedge_that_fails_leaves_the_first_attempt_alone() -> None:
    refused = itertools.count()

    async def script(peer: Peer) -> None:
        while True:
            request = await requests(peer)
            await peer.next(h2.events.StreamEnded, request.stream_id)
            if next(refused) % 2 == 0 and connected.is_set():
                await peer.send(request.stream_id, [(":status", "503")], end=True)
            elif connected.is_set():
                await peer.reset(request.stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)
            else:
                await peer.answer(request.stream_id)

    connected = asyncio.Event()
    async with Backend() as slow, RawBackend(script) as failing:
        app = hedged(slow.address, failing.address, on=["gateway-error", "reset"])
        app["circuit_breakers"] = {"retry_budget_least": 100}
        with Serving(snapshot(app)) as serving:
            async with Client(serving.address) as client:
                await connect_all(serving, client, 2)
                connected.set()
                slow.calls.clear()
                calls = [asyncio.ensure_future(client.sleep(b"x", timeout=60)) for _ in range(6)]
                await until("all at the slow one", lambda: len(slow.calls) == 6)
                await until("hedges", lambda: serving.number("hedges_sent_total") >= 3)
                slow.release.set()
                assert await asyncio.gather(*calls) == [b"x"] * 6
            await serving.idle()


async def test_the_hedge_goes_on_where_the_first_attempt_fails() -> None:
    dying: list[Peer] = []
    connected = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            event = await peer.next(h2.events.StreamEnded)
            if not connected.is_set():
                await peer.answer(event.stream_id)
                continue
            dying.append(peer)
            await hedge_there.wait()
            return

    hedge_there = asyncio.Event()
    async with Backend() as slow, RawBackend(script) as dies:
        with Serving(snapshot(hedged(dies.address, slow.address, grpc_statuses=[]))) as serving:
            async with Client(serving.address) as client:
                await connect_all(serving, client, 2)
                connected.set()
                slow.calls.clear()
                calls = [asyncio.ensure_future(client.sleep(b"x", timeout=60)) for _ in range(2)]
                await until("one attempt there", lambda: dying)
                await until("hedges", lambda: len(slow.calls) == 2)
                hedge_there.set()
                slow.release.set()
                assert await asyncio.gather(*calls) == [b"x"] * 2
            assert serving.number("retries_total") == 0
            await serving.idle()


async def test_hedges_keep_to_the_budget() -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(Backend()) for _ in range(2)]
        limited = hedged(*(server.address for server in servers))
        limited["circuit_breakers"] = {"retry_budget_percent": 0, "retry_budget_least": 1}
        serving = stack.enter_context(Serving(snapshot(limited)))
        client = await stack.enter_async_context(Client(serving.address))
        await connect_all(serving, client, 2)
        calls = [asyncio.ensure_future(client.sleep(b"x", timeout=60)) for _ in range(4)]
        await until("the budget's end", lambda: serving.number("retry_budget_exhausted_total") == 3)
        assert serving.number("hedges_sent_total") == 1
        for server in servers:
            server.release.set()
        assert await asyncio.gather(*calls) == [b"x"] * 4
        await serving.idle()


async def test_a_failure_after_both_attempts_is_told() -> None:
    async def refuse(context: Any) -> None:
        await asyncio.sleep(0)
        await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")

    async with slow_and_quick(delay_ms=1) as (_, client, slow, quick):
        slow.fail = quick.fail = refuse
        for _ in range(20):
            error = await failure(client.fail(b"", timeout=30))
            assert error.code() == grpc.StatusCode.UNAVAILABLE
