"""All four kinds of gRPC call, as real clients and servers make them."""

from __future__ import annotations

import asyncio
import os

import grpc
import grpc.aio

from tests.gateway.backends import Backend, Client, Context, failure
from tests.gateway.core import Serving, document, until

MEBIBYTE = 1 << 20


async def test_unary_calls_echo() -> None:
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                for size in (0, 1, 100, 16384, 65536, 300_000):
                    body = os.urandom(size)
                    assert await client.unary(body, timeout=30) == body
            await serving.idle()
        assert len(app.calls) == 6


async def test_server_streams_client_streams_and_bidirectional_streams() -> None:
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                answers = [answer async for answer in client.repeat(b"x", metadata=[("count", "100")], timeout=30)]
                assert answers == [b"x"] * 100
                parts = [os.urandom(1000) for _ in range(100)]
                assert await client.join(iter(parts), timeout=30) == b"".join(parts)
                call = client.bidi(timeout=60)
                for number in range(500):
                    body = number.to_bytes(20)
                    await call.write(body)
                    assert await call.read() == body
                await call.done_writing()
                assert await call.read() is grpc.aio.EOF
                assert await call.code() == grpc.StatusCode.OK
            await serving.idle()


async def test_metadata_passes_unchanged_both_ways() -> None:
    every_byte = bytes(range(256))

    async def fail(context: Context) -> None:
        await context.send_initial_metadata(
            (("first", "a"), ("repeated", "1"), ("repeated", "2"), ("raw-bin", every_byte))
        )
        context.set_trailing_metadata((("last", "z"), ("repeated", "3"), ("repeated", "4"), ("raw-bin", b"\0,\xff")))

    async with Backend() as app:
        app.fail = fail
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                sent = [("key", "value"), ("repeated", "1"), ("repeated", "2"), ("raw-bin", every_byte), ("empty", "")]
                call = client.fail(b"", metadata=sent, timeout=30)
                assert await call == b""
                initial = list(await call.initial_metadata())
                trailing = list(await call.trailing_metadata())
        (arrived,) = app.calls
        for name, _ in sent:
            assert arrived.values(name) == [value for key, value in sent if key == name]
        assert [value for key, value in initial if key == "repeated"] == ["1", "2"]
        assert ("raw-bin", every_byte) in initial
        assert ("first", "a") in initial
        assert [value for key, value in trailing if key == "repeated"] == ["3", "4"]
        assert ("raw-bin", b"\0,\xff") in trailing
        assert ("last", "z") in trailing


async def test_the_backend_learns_where_the_request_came_from() -> None:
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                await client.unary(
                    b"", metadata=[("traceparent", "00-" + "a" * 32 + "-" + "b" * 16 + "-01")], timeout=30
                )
        (arrived,) = app.calls
        assert arrived.value("x-forwarded-for") == "127.0.0.1"
        assert arrived.value("x-forwarded-proto") == "http"
        assert len(arrived.value("x-request-id")) == 36
        assert arrived.value("traceparent") == trace


async def test_compressed_messages_pass() -> None:
    async with Backend(compression=grpc.Compression.Gzip) as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address, compression=grpc.Compression.Gzip) as client:
                body = b"compressible " * 10_000
                assert await client.unary(body, timeout=30) == body
                assert [one async for one in client.repeat(body, timeout=30)] == [body] * 3
            assert serving.number("received_bytes_total") < len(body)


async def test_messages_of_sixteen_mebibytes_both_ways() -> None:
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                body = os.urandom(16 * MEBIBYTE)
                assert await client.unary(body, timeout=60) == body
            await serving.idle()


async def test_errors_without_a_message_carry_their_trailers() -> None:
    async def fail(context: Context) -> None:
        context.set_trailing_metadata((("reason", "full"), ("grpc-status-details-bin", b"\x08\x08")))
        await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no room")

    async with Backend() as app:
        app.fail = fail
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.fail(b"", timeout=30))
                assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "no room")
                assert ("reason", "full") in list(error.trailing_metadata())
                assert ("grpc-status-details-bin", b"\x08\x08") in list(error.trailing_metadata())


async def test_special_status_messages_survive() -> None:
    """The interop case special_status_message, with what percent-encoding could spoil."""
    messages = ["\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n", "100% of %41", "", "ü" * 500]

    async def fail(context: Context) -> None:
        await context.abort(grpc.StatusCode.UNKNOWN, messages[int(dict(context.invocation_metadata())["number"])])

    async with Backend() as app:
        app.fail = fail
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                for number, message in enumerate(messages):
                    error = await failure(client.fail(b"", metadata=[("number", str(number))], timeout=30))
                    assert (error.code(), error.details()) == (grpc.StatusCode.UNKNOWN, message)


async def test_every_status_code_passes() -> None:
    async def fail(context: Context) -> None:
        number = int(dict(context.invocation_metadata())["number"])
        await context.abort(next(code for code in grpc.StatusCode if code.value[0] == number), "as asked")

    async with Backend() as app:
        app.fail = fail
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                for code in grpc.StatusCode:
                    if code is not grpc.StatusCode.OK:
                        error = await failure(client.fail(b"", metadata=[("number", str(code.value[0]))], timeout=30))
                        assert error.code() == code


async def test_a_thousand_calls_at_once() -> None:
    async with Backend() as app:
        with Serving(document(app.address), workers=2) as serving:
            clients = [Client(serving.address) for _ in range(10)]
            calls = [clients[number % 10].sleep(number.to_bytes(100), timeout=60) for number in range(1000)]
            await until("all calls at the backend", lambda: len(app.calls) == 1000)
            assert serving.core.active_streams() == 1000
            app.release.set()
            answers = await asyncio.gather(*calls)
            assert answers == [number.to_bytes(100) for number in range(1000)]
            for client in clients:
                await client.channel.close()
            await serving.idle()


async def test_unknown_methods_and_services_are_the_backends_to_refuse() -> None:
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                for path in ("/test.Gate/Unknown", "/test.Unknown/Unary"):
                    error = await failure(client.method(path)(b"", timeout=30))
                    assert error.code() == grpc.StatusCode.UNIMPLEMENTED
            assert serving.number("failures_total") == 0


async def test_timeout_on_sleeping_server() -> None:
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.sleep(b"", timeout=0.2))
                assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            (call,) = await until("the call", lambda: app.calls)
            await asyncio.wait_for(call.ended.wait(), 30)
            assert call.cancelled


async def test_cancel_after_begin() -> None:
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                call = client.join(timeout=30)
                await until("the call", lambda: app.calls)
                call.cancel()
                assert await call.code() == grpc.StatusCode.CANCELLED
                await asyncio.wait_for(app.calls[0].ended.wait(), 30)
            await serving.idle()


async def test_cancel_after_first_response() -> None:
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                call = client.bidi(timeout=30)
                await call.write(b"one")
                assert await call.read() == b"one"
                call.cancel()
                assert await call.code() == grpc.StatusCode.CANCELLED
                await asyncio.wait_for(app.calls[0].ended.wait(), 30)
            await serving.idle()


async def test_a_silent_watch_stays_open() -> None:
    limits = {"header_timeout_ms": 100, "body_timeout_ms": 100, "transcoded_timeout_ms": 100, "idle_timeout_ms": 100}
    async with Backend() as app:
        with Serving(document(app.address, limits=limits)) as serving:
            async with Client(serving.address) as client:
                call = client.watch(b"at last")
                await call.initial_metadata()
                await asyncio.sleep(1.0)
                assert not call.done()
                app.release.set()
                assert [answer async for answer in call] == [b"at last"]


async def test_bytes_that_wait_for_nobody_are_not_kept() -> None:
    """Clients that vanish in the middle of large calls leave nothing behind."""
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            for _ in range(5):
                async with Client(serving.address) as client:
                    call = client.repeat(os.urandom(MEBIBYTE), metadata=[("count", "50")])
                    await call.read()
            await serving.idle()
            await until("the end of all calls at the backend", lambda: all(call.ended.is_set() for call in app.calls))
