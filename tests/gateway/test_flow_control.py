"""What stalled and slow peers may cost, and that their neighbours do not pay for them."""

from __future__ import annotations

import asyncio
import contextlib
import os

import h2.events
import h2.exceptions
import h2.settings

from tests.gateway.backends import SERVICE, Backend, Client
from tests.gateway.core import Serving, backend, document, until
from tests.gateway.raw import Peer, RawBackend, connect, http1, message, requests
from tests.support.ports import free_port

KIBIBYTE, MEBIBYTE = 1 << 10, 1 << 20
WINDOW = 256 * KIBIBYTE
NO_CREDIT = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0}


async def stalled_client(serving: Serving, body: bytes) -> Peer:
    """Asks for a response of some messages and grants no window for it."""
    client = await connect(serving.place, settings=NO_CREDIT, credit=False)
    await client.request(body, [("count", "64")], path=f"/{SERVICE}/Repeat")
    return client


async def test_stalled_clients_cost_a_window_each_and_their_neighbour_nothing() -> None:
    stalled = 100
    body = os.urandom(63 * KIBIBYTE)
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            clients = [await stalled_client(serving, body) for _ in range(stalled)]
            for client in clients:
                await client.next(h2.events.ResponseReceived)
            async with Client(serving.address) as neighbour:
                for _ in range(20):
                    answers = [one async for one in neighbour.repeat(body, metadata=[("count", "64")], timeout=60)]
                    assert answers == [body] * 64
            assert serving.number("upstream_connections_total") == 1
            assert serving.number("buffered_bytes") <= stalled * WINDOW
            assert serving.number("buffered_bytes") >= stalled * 60 * KIBIBYTE
            for client in clients:
                client.close()
            await serving.idle()
            await until("the end of all calls", lambda: all(call.ended.is_set() for call in app.calls))


async def test_what_a_stalled_client_is_owed_is_delivered_once_it_reads() -> None:
    body = os.urandom(63 * KIBIBYTE)
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            client = await stalled_client(serving, body)
            await until("the buffer", lambda: serving.number("buffered_bytes") > 0)
            received = bytearray()
            whole = 64 * (len(body) + 5)
            while len(received) < whole:
                client.h2.increment_flow_control_window(10_000, 1)
                client.h2.increment_flow_control_window(10_000)
                await client.flush()
                wanted = min(len(received) + 10_000, whole)
                while len(received) < wanted:
                    received += (await client.next(h2.events.DataReceived, 1)).data or b""
            assert bytes(received) == message(body) * 64
            assert (await client.trailers(1))["grpc-status"] == "0"
            client.close()
            await serving.idle()


async def test_a_slow_backend_holds_its_uploader_back_and_nobody_else() -> None:
    """A backend that reads nothing of one upload: the client is stopped after the windows on the way."""
    go = asyncio.Event()

    async def script(peer: Peer) -> None:
        peer.credit = False
        slow = await requests(peer)
        fast = await requests(peer)
        while True:
            data = await peer.next(h2.events.DataReceived)
            if data.stream_id == fast.stream_id:
                peer.h2.acknowledge_received_data(data.flow_controlled_length or 0, data.stream_id)
                await peer.flush()
                if data.stream_ended is not None:
                    await peer.answer(fast.stream_id)
                    break
            else:
                # The connection's window is for all; only the slow stream's own stays shut.
                peer.h2.increment_flow_control_window(data.flow_controlled_length or 0)
                await peer.flush()
        await go.wait()
        peer.credit = True
        peer.h2.increment_flow_control_window(1 << 30, slow.stream_id)
        await peer.flush()
        await peer.next(h2.events.StreamEnded, slow.stream_id)
        await peer.answer(slow.stream_id)
        await peer.closed()

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as slow, Client(serving.address) as fast:
                upload = asyncio.ensure_future(_uploaded(slow, 4 * MEBIBYTE))
                await until("the upload's window", lambda: serving.number("buffered_bytes") > WINDOW / 4)
                assert await fast.unary(os.urandom(2 * MEBIBYTE), timeout=60) == b""
                assert serving.number("buffered_bytes") <= WINDOW
                go.set()
                assert await upload == b""
            await serving.idle()


async def _uploaded(client: Client, size: int) -> bytes:
    answer: bytes = await client.unary(os.urandom(size), timeout=60)
    return answer


async def test_the_hog_that_exceeds_the_buffers_is_ended_and_nobody_else() -> None:
    body = os.urandom(63 * KIBIBYTE)
    limits = {"max_buffer_bytes": 300 * KIBIBYTE}
    async with Backend() as app:
        with Serving(document(app.address, limits=limits)) as serving:
            # A request that waits for a connection is buffered, too: here the responses alone shall be.
            async with Client(serving.address) as first:
                assert await first.unary(b"small", timeout=30) == b"small"
            hogs = []
            for _ in range(4):
                hogs.append(await stalled_client(serving, body))
                await hogs[-1].next(h2.events.ResponseReceived)
            await serving.until("failures_total", 3, reason="buffer-full")
            assert serving.number("buffered_bytes") <= limits["max_buffer_bytes"]
            async with Client(serving.address) as neighbour:
                assert await neighbour.unary(b"small", timeout=30) == b"small"
            ended = 0
            for hog in hogs:
                # Those that were ended may have heard of it already.
                with contextlib.suppress(h2.exceptions.StreamClosedError):
                    hog.h2.increment_flow_control_window(1 << 24, 1)
                hog.h2.increment_flow_control_window(1 << 24)
                await hog.flush()
                hog.credit = True
                trailers = await hog.trailers(1)
                assert trailers["grpc-status"] in ("0", "8")
                ended += trailers["grpc-status"] == "8"
            assert ended == 3
            await serving.idle()


async def test_a_slow_http1_reader_is_bounded_too() -> None:
    size = 8 * MEBIBYTE

    async def script(peer: Peer) -> None:
        request = await requests(peer)
        peer.h2.send_headers(request.stream_id, [(":status", "200"), ("content-length", str(size))])
        left = size
        while left:
            while (room := min(peer.h2.local_flow_control_window(request.stream_id), 16384, left)) == 0:
                await peer.next(h2.events.WindowUpdated)
            peer.h2.send_data(request.stream_id, bytes(room), end_stream=room == left)
            left -= room
            await peer.flush()
        await peer.closed()

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            async with await http1(serving.place, limit=KIBIBYTE) as client:
                await client.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                await until("the buffer", lambda: serving.number("buffered_bytes") > 0)
                assert serving.number("buffered_bytes") <= WINDOW
                client.reader._limit = MEBIBYTE  # type: ignore[attr-defined]
                answer = await client.response()
                assert answer.body == bytes(size)
            await serving.idle()


async def test_a_slow_http1_upload_is_held_back_by_its_backend() -> None:
    go = asyncio.Event()
    size = 4 * MEBIBYTE

    async def script(peer: Peer) -> None:
        peer.credit = False
        request = await requests(peer)
        await go.wait()
        peer.credit = True
        peer.h2.increment_flow_control_window(1 << 30, request.stream_id)
        peer.h2.increment_flow_control_window(1 << 30)
        await peer.flush()
        received = 0
        while received < size:
            received += len((await peer.next(h2.events.DataReceived)).data or b"")
        await peer.send(request.stream_id, [(":status", "204")], end=True)
        await peer.closed()

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            async with await http1(serving.place) as client:
                await client.send(f"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: {size}\r\n\r\n".encode())
                sending = asyncio.ensure_future(client.send(bytes(size)))
                await until("the buffer", lambda: serving.number("buffered_bytes") > 0)
                await asyncio.sleep(0.2)
                assert serving.number("buffered_bytes") <= WINDOW + 64 * KIBIBYTE
                go.set()
                await sending
                assert (await client.response()).status == 204
            await serving.idle()


async def test_more_connections_when_the_backends_streams_are_used_up() -> None:
    """Five streams a connection, a hundred calls, at most sixteen connections; the others wait."""
    async with Backend(options=[("grpc.max_concurrent_streams", 5)]) as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                calls = [client.sleep(b"", timeout=60) for _ in range(100)]
                await until("the streams", lambda: len(app.calls) == 80)
                assert serving.number("upstream_connections_total") == 16
                for call in calls:
                    call.cancel()
            await serving.idle()


async def test_who_waits_for_room_at_one_endpoint_does_not_fail_with_others_that_are_down() -> None:
    async with Backend(options=[("grpc.max_concurrent_streams", 1)]) as app:
        with Serving(document(backend(app.address, max_connections=1))) as serving:
            async with Client(serving.address) as client:
                await client.unary(b"", timeout=60)
                down = [(f"127.0.0.1:{free_port()}", 1, 0, 0) for _ in range(2)]
                serving.core.change_endpoints("app", down, [])
                calls = [asyncio.ensure_future(client.sleep(b"x", timeout=60)) for _ in range(5)]
                await until("attempts to connect", lambda: serving.number("upstream_connect_failures_total") >= 2)
                app.release.set()
                assert await asyncio.gather(*calls) == [b"x"] * 5
            await serving.idle()


async def test_all_calls_succeed_where_few_streams_are_allowed() -> None:
    """grpcio refuses streams for a moment after others have ended, hence the retries."""
    async with Backend(options=[("grpc.max_concurrent_streams", 5)]) as app:
        with Serving(document(backend(app.address, retry={"attempts": 5}))) as serving:
            async with Client(serving.address) as client:

                async def loop(number: int) -> None:
                    for _ in range(5):
                        assert await client.unary(number.to_bytes(4), timeout=60) == number.to_bytes(4)

                await asyncio.gather(*(loop(number) for number in range(100)))
            await serving.idle()
