"""The number of calls that a backend has under way, and an app that would be overloaded without it."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any, Self

import grpc
import pytest
from google.protobuf import descriptor_pb2

from tests.gateway.backends import SERVICE, Backend, Client
from tests.gateway.core import Serving, backend, document, until
from tests.gateway.raw import http1

OK, UNAVAILABLE = grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE
ONE = {"minimum": 1, "maximum": 1, "initial": 1}
PUSHBACK = "grpc-retry-pushback-ms"


def bounded(address: str, **settings: int) -> dict[str, Any]:
    return document(backend(address, adaptive_concurrency=settings))


async def code(call: Any) -> grpc.StatusCode:
    ended: grpc.StatusCode = await call.code()
    return ended


@pytest.mark.parametrize("workers", [1, 4])
async def test_over_the_limit_calls_are_refused_at_once(workers: int) -> None:
    async with Backend() as app:
        with Serving(bounded(app.address, **ONE), workers) as serving:
            clients = [Client(serving.address) for _ in range(4)]
            held = clients[0].sleep(b"first", timeout=30)
            await serving.until("calls_under_way", 1)
            for client in clients:
                call = client.unary(b"", timeout=30)
                assert (await code(call), await call.details()) == (UNAVAILABLE, "the backend is overloaded")
                assert 100 <= int(dict(await call.trailing_metadata())[PUSHBACK]) < 300
            async with await http1(serving.place) as plain:
                answer = await plain.get("/x")
                assert (answer.status, answer.fields["retry-after"]) == (503, "1")
            assert serving.number("overloaded_total", backend="app") == 5
            assert serving.number("failures_total", reason="overloaded") == 5
            assert serving.number("concurrency_limit", backend="app") == 1
            (pool, *_) = json.loads(serving.core.status())["workers"][0]["backends"]
            assert (pool["concurrency_limit"], pool["under_way"], pool["overloaded"]) == (1, 1, 5)
            app.release.set()
            assert await held == b"first"
            assert [await code(client.unary(b"", timeout=30)) for client in clients] == [OK] * 4
            for client in clients:
                await client.channel.close()


async def test_room_is_given_back_however_a_call_ends() -> None:
    app = Backend()
    async with app:
        with Serving(bounded(app.address, **ONE)) as serving:
            async with Client(serving.address) as client:
                for timeout in (None, 0.3):
                    held = client.sleep(b"", timeout=timeout)
                    await serving.until("calls_under_way", 1)
                    if timeout is None:
                        held.cancel()
                    await serving.until("calls_under_way", 0)
                held = client.sleep(b"", timeout=30)
                await serving.until("calls_under_way", 1)
                await app.stop()
                assert await code(held) is not OK
                await serving.until("calls_under_way", 0)
                assert await code(client.unary(b"", timeout=30)) is UNAVAILABLE
                await serving.until("calls_under_way", 0)


async def test_a_stream_that_has_begun_takes_no_room() -> None:
    async with Backend() as app:
        with Serving(bounded(app.address, **ONE)) as serving:
            async with Client(serving.address) as client:
                streams = []
                for _ in range(5):
                    stream = client.watch(b"x", timeout=30)
                    await stream.initial_metadata()
                    streams.append(stream)
                assert await code(client.unary(b"", timeout=30)) is OK
                app.release.set()
                assert [await stream.read() for stream in streams] == [b"x"] * 5


def streaming() -> str:
    """Descriptors of the backend's service by which Bidi streams and Sleep does not."""
    names = {"Bidi": True, "Sleep": False, "Unary": False}
    methods = [
        descriptor_pb2.MethodDescriptorProto(
            name=name,
            input_type=".test.Bytes",
            output_type=".test.Bytes",
            client_streaming=streams,
            server_streaming=streams,
        )
        for name, streams in names.items()
    ]
    package, _, service = SERVICE.rpartition(".")
    file = descriptor_pb2.FileDescriptorProto(
        name="gate.proto",
        package=package,
        message_type=[descriptor_pb2.DescriptorProto(name="Bytes")],
        service=[descriptor_pb2.ServiceDescriptorProto(name=service, method=methods)],
    )
    return base64.b64encode(descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString()).decode()


async def test_methods_that_are_known_to_stream_take_no_room() -> None:
    async with Backend() as app:
        given = document(backend(app.address, adaptive_concurrency=ONE), descriptors=[streaming()])
        with Serving(given) as serving:
            async with Client(serving.address) as client:
                streams = [client.bidi(timeout=30) for _ in range(5)]
                for stream in streams:
                    await stream.write(b"x")
                    assert await stream.read() == b"x"
                held = client.sleep(b"", timeout=30)
                await serving.until("calls_under_way", 1)
                assert await code(client.unary(b"", timeout=30)) is UNAVAILABLE
                app.release.set()
                assert await code(held) is OK


async def test_a_call_that_is_silent_for_ten_seconds_is_taken_for_a_stream() -> None:
    async with Backend() as app:
        with Serving(bounded(app.address, **ONE)) as serving:
            async with Client(serving.address) as client:
                held = client.sleep(b"", timeout=60)
                await serving.until("calls_under_way", 1)
                assert await code(client.unary(b"", timeout=30)) is UNAVAILABLE
                await serving.until("calls_under_way", 0)
                assert await code(client.unary(b"", timeout=30)) is OK
                app.release.set()
                assert await code(held) is OK


async def test_calls_that_run_are_counted_over_a_reload() -> None:
    async with Backend() as app:
        with Serving(bounded(app.address, **ONE), workers=2) as serving:
            async with Client(serving.address) as client:
                held = client.sleep(b"", timeout=30)
                await serving.until("calls_under_way", 1)
                serving.apply(backends=[backend(app.address)])
                await until("no limit", lambda: serving.number("concurrency_limit") == 0)
                assert await code(client.unary(b"", timeout=30)) is OK
                serving.apply(backends=[backend(app.address, adaptive_concurrency=ONE)])
                await serving.until("concurrency_limit", 1)
                assert await code(client.unary(b"", timeout=30)) is UNAVAILABLE
                app.release.set()
                assert await code(held) is OK
                await serving.until("calls_under_way", 0)
                assert await code(client.unary(b"", timeout=30)) is OK


class Slow:
    """A real app that works on four calls at once, 50 ms each; `most` is how many it ever had at once."""

    def __init__(self) -> None:
        self.most = self.present = 0
        self._slots = asyncio.Semaphore(4)
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            "Unary": grpc.unary_unary_rpc_method_handler(self._unary)
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    async def _unary(self, request: bytes, context: object) -> bytes:
        self.present += 1
        self.most = max(self.most, self.present)
        try:
            async with self._slots:
                await asyncio.sleep(0.05)
        finally:
            self.present -= 1
        return request

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._server.stop(None)


async def test_an_overloaded_app_keeps_a_short_queue() -> None:
    """Forty clients that call again and again, and who wait as long as they are told to when refused."""
    async with Slow() as app:
        with Serving(bounded(app.address, minimum=3, maximum=40, initial=40), workers=2) as serving:
            seen: list[grpc.StatusCode] = []
            stop = asyncio.Event()

            async def keep_calling(client: Client) -> None:
                while not stop.is_set():
                    call = client.unary(b"", timeout=30)
                    seen.append(await code(call))
                    if seen[-1] is UNAVAILABLE:
                        await asyncio.sleep(int(dict(await call.trailing_metadata())[PUSHBACK]) / 1000)

            clients = [Client(serving.address) for _ in range(4)]
            # What a call takes without load, before the load comes.
            quiet = [await code(clients[0].unary(b"", timeout=30)) for _ in range(60)]
            assert quiet == [OK] * 60
            calling = [asyncio.create_task(keep_calling(clients[number % 4])) for number in range(40)]
            await until("a lower limit", lambda: serving.number("concurrency_limit") <= 16, seconds=60)
            answered = seen.count(OK)
            await until("more answers", lambda: seen.count(OK) >= answered + 100, seconds=60)
            stop.set()
            await asyncio.gather(*calling)
            assert set(seen) == {OK, UNAVAILABLE}, "no call that was let in missed its deadline"
            assert seen.count(UNAVAILABLE) == serving.number("overloaded_total")
            assert app.most <= 40
            assert [await code(clients[0].unary(b"", timeout=30)) for _ in range(20)] == [OK] * 20
            for client in clients:
                await client.channel.close()
