"""Circuit breakers and the retry budget: what one backend may use at once, over all workers."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import grpc
import h2.events
import pytest

from tests.gateway.backends import Backend, Client, failure
from tests.gateway.core import Serving, backend, document, until
from tests.gateway.raw import Peer, RawBackend, serve_all

WORKERS = (1, 4)
PREVIOUS = "grpc-previous-rpc-attempts"


async def clients(stack: AsyncExitStack, serving: Serving, count: int) -> list[Client]:
    """Each with a connection of its own, which the acceptor gives to the worker that has the fewest."""
    return [await stack.enter_async_context(Client(serving.address)) for _ in range(count)]


@pytest.mark.parametrize("workers", WORKERS)
async def test_no_more_requests_than_the_breaker_allows(workers: int) -> None:
    async with Backend() as app, AsyncExitStack() as stack:
        limited = backend(app.address, circuit_breakers={"max_requests": 3})
        with Serving(document(limited), workers) as serving:
            all_clients = await clients(stack, serving, 5)
            held = [asyncio.ensure_future(client.sleep(b"x", timeout=60)) for client in all_clients]
            await until("the breaker to open twice", lambda: breaker(serving, "requests") == 2)
            await until("three calls", lambda: len(app.calls) == 3)
            app.release.set()
            answers = await asyncio.gather(*held, return_exceptions=True)
            errors = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
            assert [error.code() for error in errors] == [grpc.StatusCode.UNAVAILABLE] * 2
            assert "too many requests" in str(errors[0].details())
            assert serving.number("failures_total", reason="too-many-requests") == 2
            assert await all_clients[0].sleep(b"y", timeout=60) == b"y"
            await serving.idle()


def breaker(serving: Serving, kind: str) -> float:
    return serving.number("circuit_breaker_open_total", breaker=kind)


@pytest.mark.parametrize("workers", WORKERS)
async def test_no_more_waiting_requests_than_the_breaker_allows(workers: int) -> None:
    """A backend that accepts connections and never speaks; each client has a worker of its own."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    limited = backend(f"{host}:{port}", circuit_breakers={"max_pending": 2})
    async with AsyncExitStack() as stack:
        with Serving(document(limited), workers) as serving:
            calls = [client.unary(b"", timeout=60) for client in await clients(stack, serving, 4)]
            failing = [asyncio.ensure_future(failure(call)) for call in calls]
            await until("two refused", lambda: breaker(serving, "pending") == 2)
            await until("their answers", lambda: sum(task.done() for task in failing) == 2)
            for task in failing:
                if task.done():
                    assert "overflow" in str(task.result().details())
            assert serving.number("failures_total", reason="queue-full") == 2
            for call in calls:
                call.cancel()
            await asyncio.gather(*failing, return_exceptions=True)
            await serving.idle()
    server.close()


async def test_no_more_connections_than_the_breaker_allows() -> None:
    """Each connection takes one stream at a time: with one of them the calls take turns."""
    async with RawBackend(serve_all, {3: 1}) as app:
        with Serving(document(backend(app.address, circuit_breakers={"max_connections": 1}))) as serving:
            async with Client(serving.address) as client:
                await asyncio.gather(*(client.unary(b"", timeout=60) for _ in range(30)))
            assert serving.number("upstream_connections_total") == 1
            assert breaker(serving, "connections") > 0
        with Serving(document(backend(app.address, circuit_breakers={"max_connections": 3}))) as serving:
            async with Client(serving.address) as client:
                await asyncio.gather(*(client.unary(b"", timeout=60) for _ in range(30)))
            assert serving.number("upstream_connections_total") <= 3


async def test_every_worker_may_have_a_connection() -> None:
    async with Backend() as app, AsyncExitStack() as stack:
        with Serving(document(backend(app.address, circuit_breakers={"max_connections": 1})), 4) as serving:
            for client in await clients(stack, serving, 4):
                assert await client.unary(b"x", timeout=60) == b"x"
            assert serving.number("upstream_connections_total") == 4


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize(
    ("limits", "counter"),
    [
        ({"retry_budget_percent": 0, "retry_budget_least": 1}, ("retry_budget_exhausted_total", {})),
        ({"max_retries": 1}, ("circuit_breaker_open_total", {"breaker": "retries"})),
    ],
)
async def test_a_status_over_the_budget_goes_to_the_client(workers: int, limits: Any, counter: Any) -> None:
    """The first call's second attempt is held by the server: the second call is not sent again."""
    held, let_go = asyncio.Event(), asyncio.Event()

    async def fail(context: Any) -> None:
        if PREVIOUS not in dict(context.invocation_metadata()):
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        held.set()
        await let_go.wait()

    async with Backend() as app, AsyncExitStack() as stack:
        app.fail = fail
        retry = {"grpc_statuses": [14], "back_off_ms": 1}
        limited = backend(app.address, retry=retry, circuit_breakers=limits)
        with Serving(document(limited), workers) as serving:
            first, *others = await clients(stack, serving, 4)
            call = asyncio.ensure_future(first.fail(b"first", timeout=60))
            await asyncio.wait_for(held.wait(), 30)
            for other in others:
                error = await failure(other.fail(b"other", timeout=60))
                assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "not now")
            name, labels = counter
            assert serving.number(name, **labels) == 3
            let_go.set()
            assert await call == b"first"
            assert await others[0].fail(b"again", timeout=60) == b"again"
            await serving.idle()


async def test_the_budget_grows_with_the_requests() -> None:
    """Half of the active requests, none guaranteed: nothing is sent again alone, one of two may be."""
    async with Backend() as app:

        async def fail(context: Any) -> None:
            if PREVIOUS not in dict(context.invocation_metadata()):
                await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")

        app.fail = fail
        half = {"retry_budget_percent": 50, "retry_budget_least": 0}
        retry = {"grpc_statuses": [14], "back_off_ms": 1}
        with Serving(document(backend(app.address, retry=retry, circuit_breakers=half))) as serving:
            async with Client(serving.address) as client:
                await failure(client.fail(b"", timeout=60))
                stream = client.bidi(timeout=60)
                await stream.write(b"open")
                assert await stream.read() == b"open"
                assert await client.fail(b"x", timeout=60) == b"x"
                await stream.done_writing()
                assert await stream.read() == grpc.aio.EOF
                await serving.idle()
                await failure(client.fail(b"", timeout=60))


async def test_a_connection_that_dies_costs_no_call_although_the_budget_is_small() -> None:
    """Many calls are on it, one may be sent again at a time: they take turns."""
    connections = 0

    async def die_once(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            await serve_all(peer)
        for _ in range(8):
            await peer.next(h2.events.StreamEnded)

    async with RawBackend(die_once) as app:
        limits = {"retry_budget_percent": 0, "retry_budget_least": 1}
        retry = {"on": ["reset"], "back_off_ms": 1, "max_back_off_ms": 2}
        with Serving(document(backend(app.address, retry=retry, circuit_breakers=limits))) as serving:
            async with Client(serving.address) as client:
                await asyncio.gather(*(client.unary(b"", timeout=60) for _ in range(8)))
            assert serving.number("retries_total", condition="reset") == 8
            assert serving.number("retry_budget_exhausted_total") >= 7
            await serving.idle()
