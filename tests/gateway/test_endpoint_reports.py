"""What the core says of endpoints to whoever decides: how their calls ended, and that one was lost."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest

from tests.gateway.backends import Backend, Client, failure
from tests.gateway.core import Serving, document, until
from tests.support.ports import free_port

pytestmark = pytest.mark.asyncio


async def abort(context: Any, code: grpc.StatusCode) -> None:
    if code is not grpc.StatusCode.OK:
        await context.abort(code, "as the test asked")


@pytest.mark.parametrize("workers", [1, 4])
async def test_calls_are_counted_by_how_they_ended_over_all_workers(workers: int) -> None:
    ends = [code for code in grpc.StatusCode if code is not grpc.StatusCode.CANCELLED]
    async with Backend() as backend:
        with Serving(document(backend.address), workers) as serving:
            for _ in range(workers):
                async with Client(serving.address) as client:
                    for code in ends:
                        backend.fail = lambda context, code=code: abort(context, code)
                        await client.fail(b"").code()
            erred, failed = 4 * workers, workers
            answered = len(ends) * workers - erred - failed
            await serving.idle()
            assert serving.core.tallies("app") == [(backend.address, answered, erred, failed)]
            with pytest.raises(KeyError):
                serving.core.tallies("nobody")


LOST = "endpoint-lost"


def lost(serving: Serving) -> set[str]:
    """Takes the addresses of endpoints that were lost since the last look."""
    events = serving.events(LOST)
    assert {event["backend"] for event in events} <= {"app"}
    return {event["address"] for event in events}


async def test_an_endpoint_that_cannot_be_connected_to_is_told() -> None:
    nobody = f"127.0.0.1:{free_port()}"
    with Serving(document(nobody)) as serving:
        async with Client(serving.address) as client:
            assert serving.events(LOST) == []
            assert (await failure(client.unary(b"x"))).code() is grpc.StatusCode.UNAVAILABLE
            assert lost(serving) == {nobody}


async def test_a_connection_that_ends_is_told_and_one_that_is_not_wanted_any_more_is_not() -> None:
    async with Backend() as left, Backend() as kept:
        with Serving(document(left.address)) as serving:
            async with Client(serving.address) as client:
                await client.unary(b"x")
                serving.core.set_endpoints("app", [(kept.address, 1, 0, 0)])
                await serving.until("upstream_connections_closed_total", 1)
                await left.stop()
                await client.unary(b"x")
                assert lost(serving) == set()
                await kept.stop()
                assert await until("a word of it", lambda: lost(serving)) == {kept.address}


async def test_a_server_that_goes_away_is_told_of_while_its_last_calls_run() -> None:
    async with Backend() as backend:
        with Serving(document(backend.address)) as serving:
            async with Client(serving.address) as client:
                call = client.sleep(b"x")
                await until("the call", lambda: backend.calls)
                stopping = asyncio.create_task(backend.stop(grace=60))
                assert await until("a word of it", lambda: lost(serving)) == {backend.address}
                assert not call.done()
                backend.release.set()
                assert await call == b"x"
                await stopping


async def test_who_comes_in_the_place_of_another_is_not_held_to_account_for_it() -> None:
    """As in a rolling update: the calls that still run at a pod that is gone end with it."""
    async with Backend() as old, Backend() as new:
        with Serving(document(old.address)) as serving:
            async with Client(serving.address) as client:
                calls = [asyncio.ensure_future(client.sleep(b"x")) for _ in range(5)]
                await until("the calls", lambda: len(old.calls) == 5)
                serving.core.change_endpoints("app", [], [old.address])
                serving.core.change_endpoints("app", [(new.address, 1, 0, 0)], [])
                await client.unary(b"x")
                await old.stop()
                for call in calls:
                    assert (await failure(call)).code() is grpc.StatusCode.UNAVAILABLE
                await serving.idle()
                tallies = {address: counts for address, *counts in serving.core.tallies("app")}
                assert tallies[new.address] == [1, 0, 0]
                assert lost(serving) == set()
