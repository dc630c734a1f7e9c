"""Deadlines, time-outs of routes, idle streams, and cancels: who is told, and how soon."""

from __future__ import annotations

import asyncio
import json

import grpc
import h2.errors
import h2.events

from tests.gateway.backends import SERVICE, Backend, Client, failure
from tests.gateway.core import Serving, backend, document, route, until
from tests.gateway.raw import GRPC_HEAD, Peer, RawBackend, connect, head_of, http1, message, requests


def milliseconds(text: str) -> float:
    """A grpc-timeout."""
    assert 1 <= len(text[:-1]) <= 8
    return float(text[:-1]) * {"H": 3.6e6, "M": 6e4, "S": 1e3, "m": 1, "u": 1e-3, "n": 1e-6}[text[-1]]


async def deaf(peer: Peer, seen: asyncio.Queue[h2.events.Event]) -> None:
    """Takes requests and never answers; says what came of them."""
    while True:
        request = await requests(peer)
        await seen.put(request)
        await seen.put(await peer.next(h2.events.StreamReset, request.stream_id))


async def test_a_deadline_is_kept_for_a_backend_that_ignores_it() -> None:
    seen: asyncio.Queue[h2.events.Event] = asyncio.Queue()
    async with RawBackend(lambda peer: deaf(peer, seen)) as app:
        with Serving(document(app.address)) as serving:
            async with await connect(serving.place) as client:
                stream = await client.request(fields=[("grpc-timeout", "200m")])
                head = await client.fields(stream)
                assert (head[":status"], head["grpc-status"]) == ("200", "4")
                assert head["content-type"] == "application/grpc"
                assert isinstance(await seen.get(), h2.events.RequestReceived)
                reset = await seen.get()
                assert isinstance(reset, h2.events.StreamReset)
                assert reset.error_code == h2.errors.ErrorCodes.CANCEL
            await serving.until("failures_total", 1, reason="deadline-exceeded")
            await serving.idle()


async def test_a_deadline_in_the_middle_of_a_response_ends_it_with_trailers() -> None:
    async def script(peer: Peer) -> None:
        request = await requests(peer)
        await peer.send(request.stream_id, GRPC_HEAD, message(b"one"))
        await peer.closed()

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            async with await connect(serving.place) as client:
                stream = await client.request(fields=[("grpc-timeout", "300m")])
                await client.fields(stream)
                assert (await client.trailers(stream))["grpc-status"] == "4"
            await serving.idle()


async def test_the_smallest_and_the_largest_deadlines() -> None:
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            async with await connect(serving.place) as client:
                for timeout in ("1n", "1u", "0m"):
                    stream = await client.request(path=f"/{SERVICE}/Sleep", fields=[("grpc-timeout", timeout)])
                    assert (await client.fields(stream))["grpc-status"] == "4"
                for timeout in ("99999999H", "99999999S"):
                    stream = await client.request(fields=[("grpc-timeout", timeout)])
                    await client.fields(stream)
                    assert (await client.trailers(stream))["grpc-status"] == "0"
            await serving.idle()


async def test_time_spent_in_the_queue_is_taken_off_the_deadline() -> None:
    """One stream at a time: the second call waits for the first, and its backend learns what is left."""
    first_may_end = asyncio.Event()
    timeouts: list[str] = []

    async def script(peer: Peer) -> None:
        await peer.next(h2.events.SettingsAcknowledged)
        while True:
            request = await requests(peer)
            timeouts.append(head_of(request)["grpc-timeout"])
            await first_may_end.wait()
            await peer.answer(request.stream_id)

    async with RawBackend(script, {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as app:
        with Serving(document(backend(app.address, max_connections=1))) as serving:
            async with await connect(serving.place) as client:
                one = await client.request(fields=[("grpc-timeout", "20S")])
                await until("the first", lambda: timeouts)
                await asyncio.sleep(0.1)
                two = await client.request(fields=[("grpc-timeout", "20S")])
                await until("the second", lambda: serving.core.active_streams() == 2)
                await asyncio.sleep(0.5)
                first_may_end.set()
                for stream in (one, two):
                    await client.fields(stream)
                    assert (await client.trailers(stream))["grpc-status"] == "0"
    assert milliseconds(timeouts[1]) <= 19_500
    assert milliseconds(timeouts[0]) > 19_500


async def test_a_deadline_passes_while_the_call_waits_for_a_connection() -> None:
    async def script(peer: Peer) -> None:
        await peer.closed()

    async with RawBackend(script, {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 0}) as app:
        with Serving(document(backend(app.address, max_connections=1))) as serving:
            async with await connect(serving.place) as client:
                stream = await client.request(fields=[("grpc-timeout", "300m")])
                assert (await client.fields(stream))["grpc-status"] == "4"
            await serving.idle()


async def test_a_routes_time_out_holds_for_calls_without_a_deadline() -> None:
    async with Backend() as app:
        with Serving(document(app.address, routes=[route(timeout_ms=200)])) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.sleep(b""))
                assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
                await asyncio.wait_for(app.calls[0].ended.wait(), 30)
                call = client.sleep(b"own", timeout=30)
                await until("the second call", lambda: len(app.calls) == 2)
                await asyncio.sleep(0.5)
                app.release.set()
                assert await call == b"own"
            await serving.idle()


async def test_a_plain_http_request_is_timed_out_too() -> None:
    seen: asyncio.Queue[h2.events.Event] = asyncio.Queue()
    async with RawBackend(lambda peer: deaf(peer, seen)) as app:
        with Serving(document(app.address, routes=[route(timeout_ms=200)])) as serving:
            async with await http1(serving.place) as client:
                answer = await client.get("/")
                assert answer.status == 504
                assert json.loads(answer.body)["code"] == 504
            await serving.idle()


async def test_a_methods_time_out_outranks_its_routes() -> None:
    methods = [{"name": f"{SERVICE}.Sleep", "timeout_ms": 200}]
    async with Backend() as app:
        with Serving(document(app.address, routes=[route(timeout_ms=60_000)], methods=methods)) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.sleep(b"", timeout=None))
                assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_silent_stream_ends_when_its_route_says_so() -> None:
    async with Backend() as app:
        with Serving(document(app.address, routes=[route(idle_timeout_ms=300)])) as serving:
            async with Client(serving.address) as client:
                busy = client.bidi()
                silent = client.watch(b"")
                await silent.initial_metadata()

                async def talk() -> None:
                    while not silent.done():
                        await busy.write(b"x")
                        assert await busy.read() == b"x"
                        await asyncio.sleep(0.05)

                talking = asyncio.ensure_future(talk())
                error = await failure(silent.read())
                assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
                await talking
                await busy.done_writing()
                assert await busy.code() == grpc.StatusCode.OK
            await asyncio.wait_for(app.calls[1].ended.wait(), 30)
            await serving.idle()


async def test_transcoded_calls_have_a_time_out_of_their_own() -> None:
    """A health check of a backend that never answers; gRPC calls of the same method have none."""
    seen: asyncio.Queue[h2.events.Event] = asyncio.Queue()
    methods = [{"name": "grpc.health.v1.Health.Check", "bindings": [{"verb": "GET", "template": "/v1/health"}]}]
    async with RawBackend(lambda peer: deaf(peer, seen)) as app:
        limits = {"transcoded_timeout_ms": 200}
        with Serving(document(app.address, methods=methods, limits=limits)) as serving:
            async with await http1(serving.place) as client:
                answer = await client.get(
                    "/grpc.health.v1.Health/Check", "content-type: application/json", method="POST", body=b"{}"
                )
                assert answer.status in (503, 504)
                assert isinstance(await seen.get(), h2.events.RequestReceived)
                assert isinstance(await seen.get(), h2.events.StreamReset)
                answer = await client.get("/v1/health")
                assert answer.status == 503
            await serving.idle()


async def test_a_cancel_reaches_the_backend_at_once() -> None:
    seen: asyncio.Queue[h2.events.Event] = asyncio.Queue()
    async with RawBackend(lambda peer: deaf(peer, seen)) as app:
        with Serving(document(app.address)) as serving:
            async with await connect(serving.place) as client:
                stream = await client.request()
                assert isinstance(await seen.get(), h2.events.RequestReceived)
                await client.reset(stream, h2.errors.ErrorCodes.CANCEL)
                async with asyncio.timeout(10):
                    assert isinstance(await seen.get(), h2.events.StreamReset)
                stream = await client.request()
                assert isinstance(await seen.get(), h2.events.RequestReceived)
            # The client's connection is gone.
            async with asyncio.timeout(10):
                assert isinstance(await seen.get(), h2.events.StreamReset)
            async with await http1(serving.place) as plain:
                await plain.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                assert isinstance(await seen.get(), h2.events.RequestReceived)
            async with asyncio.timeout(10):
                assert isinstance(await seen.get(), h2.events.StreamReset)
            await serving.until("failures_total", 1, reason="client-cancelled")
            await serving.idle()
