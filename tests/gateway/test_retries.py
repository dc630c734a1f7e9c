"""What is sent again by itself: only what the backend provably has not acted on."""

from __future__ import annotations

import asyncio
import itertools
import os
from typing import Any

import grpc
import h2.errors
import h2.events
import pytest

from tests.gateway.backends import Backend, Client, failure
from tests.gateway.core import Serving, backend, document, until
from tests.gateway.raw import GRPC_HEAD, Peer, RawBackend, head_of, message, requests, serve_all
from tests.support.backends import GrpcBackend
from tests.support.ports import free_port

REFUSED = h2.errors.ErrorCodes.REFUSED_STREAM


def refuse_first(times: int = 1) -> tuple[list[str], RawBackend]:
    """A backend that refuses the first streams, whole or not, and serves the others."""
    seen: list[str] = []

    async def script(peer: Peer) -> None:
        while True:
            request = await requests(peer)
            seen.append(head_of(request)["x-request-id"])
            if len(seen) <= times:
                await peer.reset(request.stream_id, REFUSED)
            else:
                await peer.next(h2.events.StreamEnded, request.stream_id)
                await peer.answer(request.stream_id, b"served")

    return seen, RawBackend(script)


async def test_a_refused_stream_is_sent_again_with_the_same_request() -> None:
    seen, app = refuse_first()
    async with app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                assert await client.unary(os.urandom(1000), timeout=30) == b"served"
            await serving.until("retries_total", 1, condition="refused-stream")
            await serving.idle()
    assert len(seen) == 2
    assert len(set(seen)) == 1


async def test_a_refused_stream_is_sent_again_once() -> None:
    seen, app = refuse_first(2)
    async with app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.unary(b"", timeout=30))
                assert error.code() == grpc.StatusCode.UNAVAILABLE
            await serving.idle()
    assert len(seen) == 2


@pytest.mark.parametrize("retry", [{"attempts": 0}, {"attempts": 1, "on": ["connect-failure"]}])
async def test_nothing_is_sent_again_against_the_operators_word(retry: dict[str, object]) -> None:
    seen, app = refuse_first()
    async with app:
        with Serving(document(backend(app.address, retry=retry))) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.unary(b"", timeout=30))
                assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert len(seen) == 1


async def test_the_whole_body_is_sent_again() -> None:
    """Refused after part of the body has arrived: the second attempt carries every byte."""
    body = os.urandom(60_000)
    bodies: list[bytes] = []

    attempts = itertools.count()

    async def script(peer: Peer) -> None:
        while True:
            request = await requests(peer)
            if next(attempts) == 0:
                await peer.next(h2.events.DataReceived, request.stream_id)
                await peer.reset(request.stream_id, REFUSED)
                continue
            data = b""
            while len(data) < len(body) + 5:
                data += (await peer.next(h2.events.DataReceived, request.stream_id)).data or b""
            bodies.append(data)
            await peer.answer(request.stream_id)

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                await client.unary(body, timeout=30)
            await serving.idle()
    assert bodies == [message(body)]


async def test_a_body_over_the_limit_is_not_sent_again() -> None:
    attempts = 0

    async def script(peer: Peer) -> None:
        nonlocal attempts
        while True:
            request = await requests(peer)
            attempts += 1
            received = 0
            while received <= 64 << 10:
                received += len((await peer.next(h2.events.DataReceived, request.stream_id)).data or b"")
            await peer.reset(request.stream_id, REFUSED)

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.unary(os.urandom(200_000), timeout=30))
                assert error.code() == grpc.StatusCode.UNAVAILABLE
            await serving.idle()
    assert attempts == 1


async def test_streams_above_a_goaways_last_id_go_elsewhere() -> None:
    connections = itertools.count()

    async def script(peer: Peer) -> None:
        if next(connections) > 0:
            await serve_all(peer)
        first = await requests(peer)
        second = await requests(peer)
        peer.h2.close_connection(last_stream_id=first.stream_id)
        await peer.flush()
        assert second.stream_id > first.stream_id
        # The library takes the connection for closed, but the first stream may finish.
        peer.h2 = FrozenAnswers(peer, first.stream_id)
        await peer.flush()
        await peer.closed()

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                answers = await asyncio.gather(*(client.unary(b"", timeout=30) for _ in range(2)))
                assert answers == [b"", b""]
            assert serving.number("retries_total", condition="refused-stream") == 1
            await serving.idle()
    assert app.connections == 2


async def test_a_goaway_with_an_error_ends_nothing_that_was_processed() -> None:
    """ENHANCE_YOUR_CALM, as grpcio answers PINGs that come too often: the stream that it knows of finishes."""

    async def script(peer: Peer) -> None:
        request = await requests(peer)
        await peer.send(request.stream_id, GRPC_HEAD, message(b"half"))
        peer.h2.close_connection(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM, b"too_many_pings", request.stream_id)
        await peer.flush()
        peer.h2 = FrozenAnswers(peer, request.stream_id, headed=True)
        await peer.flush()
        await peer.closed()

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                assert [one async for one in client.repeat(b"", timeout=30)] == [b"half", b""]


async def test_a_reset_before_headers_is_sent_again_only_when_the_operator_says_so() -> None:
    attempts = 0

    async def script(peer: Peer) -> None:
        nonlocal attempts
        request = await requests(peer)
        attempts += 1
        if attempts % 2:
            await peer.next(h2.events.StreamEnded, request.stream_id)
            return
        await peer.answer(request.stream_id, b"second")
        await peer.closed()

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.unary(b"", timeout=30))
                assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert attempts == 1
        attempts = 0
        retry = {"attempts": 1, "on": ["connect-failure", "refused-stream", "reset"]}
        with Serving(document(backend(app.address, retry=retry))) as serving:
            async with Client(serving.address) as client:
                assert await client.unary(b"", timeout=30) == b"second"
        assert attempts == 2


@pytest.mark.parametrize("code", [h2.errors.ErrorCodes.REFUSED_STREAM, h2.errors.ErrorCodes.INTERNAL_ERROR])
async def test_a_reset_behind_headers_is_never_sent_again(code: h2.errors.ErrorCodes) -> None:
    attempts = 0

    async def script(peer: Peer) -> None:
        nonlocal attempts
        while True:
            request = await requests(peer)
            attempts += 1
            await peer.send(request.stream_id, GRPC_HEAD)
            await peer.reset(request.stream_id, code)

    async with RawBackend(script) as app:
        retry = {"attempts": 3, "on": ["connect-failure", "refused-stream", "reset"]}
        with Serving(document(backend(app.address, retry=retry))) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.unary(b"", timeout=30))
                assert error.code() in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE)
            await serving.idle()
    assert attempts == 1


async def test_a_connect_failure_is_tried_again() -> None:
    """The backend's port opens while the request waits between two attempts."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    with Serving(document(backend(address, retry={"attempts": 50}))) as serving:
        async with Client(serving.address) as client:
            call = client.unary(b"patience", timeout=30)
            await until("a failed attempt", lambda: serving.number("upstream_connect_failures_total") >= 2)
            async with Backend(address):
                assert await call == b"patience"
            assert serving.number("retries_total", condition="connect-failure") >= 1


async def test_a_backend_that_is_down_answers_unavailable_and_is_found_when_it_is_up() -> None:
    port = free_port()
    with Serving(document(f"127.0.0.1:{port}")) as serving:
        async with Client(serving.address) as client:
            error = await failure(client.unary(b"", timeout=30))
            assert error.code() == grpc.StatusCode.UNAVAILABLE
            assert "upstream connect error" in str(error.details())
            async with Backend(f"127.0.0.1:{port}"):
                for _ in range(200):
                    try:
                        assert await client.unary(b"up", timeout=30) == b"up"
                        break
                    except grpc.aio.AioRpcError as again:
                        if again.code() is not grpc.StatusCode.UNAVAILABLE:
                            raise
                        await asyncio.sleep(0.05)
                else:
                    raise AssertionError("a backend that is up again is never called")


async def test_another_endpoint_takes_what_one_refuses() -> None:
    async with Backend() as app:
        dead = f"127.0.0.1:{free_port()}"
        both = {"name": "app", "endpoints": [{"address": dead}, {"address": app.address}]}
        with Serving(document(both)) as serving:
            async with Client(serving.address) as client:
                for number in range(50):
                    body = bytes([number])
                    assert await client.unary(body, timeout=30) == body


async def test_among_many_that_are_away_the_one_that_is_there_is_found() -> None:
    """With the shipped policy, which makes one more attempt. All of the others come first."""
    async with Backend() as app:
        away = [{"address": f"127.0.0.1:{free_port()}"} for _ in range(20)]
        many = {"name": "app", "endpoints": [*away, {"address": app.address, "priority": 1}]}
        with Serving(document(many)) as serving:
            async with Client(serving.address) as client:
                assert await client.unary(b"x", timeout=30) == b"x"


async def test_who_may_not_try_again_looks_for_no_other() -> None:
    async with Backend() as app:
        away = [{"address": f"127.0.0.1:{free_port()}"} for _ in range(20)]
        many = {"name": "app", "endpoints": [*away, {"address": app.address, "priority": 1}], "retry": {"attempts": 0}}
        with Serving(document(many)) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.unary(b"x", timeout=30))
                assert error.details() == "upstream connect error: connection failure"


class FrozenAnswers:
    """Stands in for a library that sends nothing more once it has said GOAWAY: one response, encoded by hand."""

    def __init__(self, peer: Peer, stream: int, *, headed: bool = False) -> None:
        from hpack import Encoder
        from hyperframe.frame import DataFrame, Frame, HeadersFrame

        encoder = peer.h2.encoder if headed else Encoder()
        frames: list[Frame] = [] if headed else [HeadersFrame(stream, encoder.encode(GRPC_HEAD), flags=["END_HEADERS"])]
        frames.append(DataFrame(stream, message()))
        end = encoder.encode([("grpc-status", "0")])
        frames.append(HeadersFrame(stream, end, flags=["END_HEADERS", "END_STREAM"]))
        self._data = b"".join(frame.serialize() for frame in frames)

    def data_to_send(self) -> bytes:
        data, self._data = self._data, b""
        return data

    def receive_data(self, data: bytes) -> list[h2.events.Event]:
        return []


@pytest.mark.parametrize("connections", [1, 16])
async def test_a_backend_that_takes_few_streams_fails_no_call(connections: int) -> None:
    """grpcio counts a stream until its application has let go of the call, and refuses those beyond its limit."""
    with GrpcBackend(options=[("grpc.max_concurrent_streams", 5)]) as app:
        with Serving(document(backend(app.address, max_connections=connections))) as serving:
            async with Client(serving.address) as client:
                unary: Any = client.method("/test.Kinds/Unary")
                numbers = iter(range(2_000))

                async def call() -> None:
                    for number in numbers:
                        assert await unary(b"%d" % number, timeout=60) == b"%d" % number

                await asyncio.gather(*(call() for _ in range(40)))
            assert serving.number("upstream_connections_total") <= connections
            await serving.idle()
    assert len(app.calls) == 2_000
