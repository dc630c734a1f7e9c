"""Backends that die, hang, refuse or answer garbage: the client gets a clear status, and no worker stops."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import grpc
import h2.errors
import h2.events
import pytest

from tests.gateway.backends import Backend, Client, failure
from tests.gateway.core import Serving, backend, document, until
from tests.gateway.raw import GRPC_HEAD, Peer, RawBackend, connect, http1, message, requests
from tests.support.ports import free_port
from tests.support.processes import Program
from tests.support.waiting import wait_for

APP = """
import sys, threading
from tests.support.backends import GrpcBackend
with GrpcBackend(address=sys.argv[1]) as backend:
    print("ready", flush=True)
    threading.Event().wait()
"""


def application(address: str, folder: Path) -> Program:
    """A backend in a process of its own, which can be killed and stopped."""
    program = Program([sys.executable, "-c", APP, address], folder)
    wait_for("the backend", lambda: "ready" in program.stdout)
    return program


async def test_a_killed_backend_ends_its_calls_and_is_called_again_when_it_is_back(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with Serving(document(address)) as serving:
        async with Client(serving.address) as client:
            kinds: Any = client.channel.stream_stream("/test.Kinds/Bidi")
            unary = client.method("/test.Kinds/Unary")
            with application(address, tmp_path) as app:
                call = kinds(timeout=60)
                await call.write(b"one")
                assert await call.read() == b"one"
                app.send(signal.SIGKILL)
                error = await failure(call.read())
                assert error.code() == grpc.StatusCode.UNAVAILABLE
                error = await failure(unary(b"", timeout=30))
                assert error.code() == grpc.StatusCode.UNAVAILABLE
            with application(address, tmp_path):

                async def served() -> bool:
                    try:
                        return bool(await unary(b"back", timeout=30) == b"back")
                    except grpc.aio.AioRpcError as error:
                        if error.code() is not grpc.StatusCode.UNAVAILABLE:
                            raise
                        return False

                for _ in range(200):
                    if await served():
                        break
                    await asyncio.sleep(0.05)
                else:
                    raise AssertionError("the backend is back, but never called")
        await serving.idle()


async def test_a_hung_backend_is_left_at_the_deadline(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with Serving(document(address)) as serving, application(address, tmp_path) as app:
        async with Client(serving.address) as client:
            unary = client.method("/test.Kinds/Unary")
            assert await unary(b"", timeout=30) == b""
            app.send(signal.SIGSTOP)
            error = await failure(unary(b"", timeout=0.3))
            assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
            app.send(signal.SIGCONT)
            assert await unary(b"on", timeout=30) == b"on"
        await serving.idle()


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 100, os.urandom(4096)])
async def test_a_backend_that_speaks_something_else_answers_unavailable(garbage: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(garbage)
        await reader.read()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    with Serving(document(f"{host}:{port}")) as serving:
        async with Client(serving.address) as client:
            error = await failure(client.unary(b"", timeout=30))
            assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert serving.core.beat(10) != [None]
        await serving.idle()
    server.close()


async def test_a_backend_that_closes_at_once_answers_unavailable() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    with Serving(document(f"{host}:{port}")) as serving:
        async with Client(serving.address) as client:
            for _ in range(3):
                error = await failure(client.unary(b"", timeout=30))
                assert error.code() == grpc.StatusCode.UNAVAILABLE
        await serving.idle()
    server.close()


@pytest.mark.parametrize("ending", ["whole", "headed", "unheaded"])
async def test_the_last_bytes_of_a_backend_and_its_end_may_come_in_one(ending: str) -> None:
    """FIN right behind data: no further event of the socket tells of it."""

    async def script(peer: Peer) -> None:
        request = await requests(peer)
        if ending == "whole":
            peer.h2.send_headers(request.stream_id, [*GRPC_HEAD, ("grpc-status", "0")], end_stream=True)
        elif ending == "headed":
            peer.h2.send_headers(request.stream_id, GRPC_HEAD)
            peer.h2.send_data(request.stream_id, message(b"one"))
        else:
            peer.h2.ping(b"pingpong")
        connection = peer.writer.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        peer.writer.write(peer.h2.data_to_send())

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            for _ in range(20):
                async with await connect(serving.place) as client:
                    stream = await client.request()
                    head = await client.fields(stream)
                    match ending:
                        case "whole":
                            assert head["grpc-status"] == "0"
                        case "headed":
                            assert (await client.trailers(stream))["grpc-status"] == "14"
                        case _:
                            assert head["grpc-status"] == "14"
            await serving.idle()


@pytest.mark.parametrize("last", [b"", b"PRI * HTTP/2.0", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"])
async def test_clients_whose_end_comes_with_their_last_bytes_are_let_go(last: bytes) -> None:
    """One segment carries both, so that no further event of the socket tells of the end."""
    async with Backend() as app:
        with Serving(document(app.address)) as serving:
            for _ in range(20):
                with socket.create_connection(serving.place) as client:
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
                    client.send(last)
            await until("all connections accepted", lambda: serving.number("connections_accepted_total") == 20)
            await until("all connections closed", lambda: serving.core.active_connections() == 0, 5)
            await serving.idle()


@pytest.mark.parametrize("version", ["h2", "http1"])
async def test_what_breaks_off_never_looks_complete(version: str) -> None:
    """To a client that is no gRPC client: a reset, or a chunked body without its end."""

    async def script(peer: Peer) -> None:
        request = await requests(peer)
        await peer.send(request.stream_id, [(":status", "200"), ("content-type", "text/plain")], b"the first half")
        await peer.reset(request.stream_id, h2.errors.ErrorCodes.INTERNAL_ERROR)
        await peer.closed()

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            if version == "h2":
                async with await connect(serving.place) as client:
                    client.h2.send_headers(
                        1,
                        [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")],
                        end_stream=True,
                    )
                    await client.flush()
                    assert (await client.fields(1))[":status"] == "200"
                    assert (
                        await client.next(h2.events.StreamReset, 1)
                    ).error_code == h2.errors.ErrorCodes.INTERNAL_ERROR
            else:
                async with await http1(serving.place) as plain:
                    await plain.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                    everything = await plain.closed()
                    assert everything.startswith(b"HTTP/1.1 200 ")
                    assert b"the first half" in everything
                    assert not everything.endswith(b"0\r\n\r\n")
            await serving.idle()


async def test_a_grpc_response_that_breaks_off_ends_with_a_status() -> None:
    async def script(peer: Peer) -> None:
        request = await requests(peer)
        await peer.send(request.stream_id, GRPC_HEAD, message(b"one"))
        await peer.reset(request.stream_id, h2.errors.ErrorCodes.CANCEL)
        await peer.closed()

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            async with Client(serving.address) as client:
                call = client.repeat(b"", timeout=30)
                assert await call.read() == b"one"
                error = await failure(call.read())
                assert error.code() == grpc.StatusCode.INTERNAL
                assert "reset" in str(error.details())
            await serving.until("failures_total", 1, reason="upstream-reset")


@pytest.mark.parametrize(
    ("head", "end"),
    [
        ([("content-type", "application/grpc")], []),
        ([(":status", "20x")], []),
        ([(":status", "101")], []),
        ([(":status", "200"), ("connection", "close")], []),
        ([(":status", "200"), ("content-length", "7")], []),
        ([(":status", "200"), ("content-length", "1")], []),
        ([(":status", "200"), ("Upper", "case")], []),
        (GRPC_HEAD, [(":status", "200"), ("grpc-status", "0")]),
    ],
)
async def test_malformed_responses_are_not_passed_on(head: list[tuple[str, str]], end: list[tuple[str, str]]) -> None:
    async def script(peer: Peer) -> None:
        peer.h2.config.validate_outbound_headers = False
        peer.h2.config.normalize_outbound_headers = False
        request = await requests(peer)
        peer.h2.send_headers(request.stream_id, head)
        peer.h2.send_data(request.stream_id, message(), end_stream=not end)
        if end:
            peer.h2.send_headers(request.stream_id, end, end_stream=True)
        await peer.flush()
        await peer.closed()

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            async with await connect(serving.place) as client:
                stream = await client.request()
                fields = await client.fields(stream)
                if "grpc-status" not in fields:
                    fields = await client.trailers(stream)
                assert fields["grpc-status"] == "14"
                assert "malformed" in fields["grpc-message"]
            await serving.idle()


async def test_no_endpoints_no_route_and_a_full_queue_say_so() -> None:
    with Serving(document({"name": "app", "endpoints": []})) as serving:
        async with Client(serving.address) as client:
            error = await failure(client.unary(b"", timeout=30))
            assert (error.code(), "no endpoints" in str(error.details())) == (grpc.StatusCode.UNAVAILABLE, True)
            serving.apply(routes=[{"name": "no", "match": {"path_prefix": "/no/"}, "backends": [{"name": "app"}]}])
            error = await failure(client.unary(b"", timeout=30))
            assert (error.code(), error.details()) == (grpc.StatusCode.UNIMPLEMENTED, "No route matches the request")


async def test_a_queue_that_is_full_answers_unavailable() -> None:
    known = asyncio.Event()

    async def one_at_a_time(peer: Peer) -> None:
        await peer.next(h2.events.SettingsAcknowledged)
        known.set()
        await peer.closed()

    async with RawBackend(one_at_a_time, {3: 1}) as app:
        with Serving(document(backend(app.address, max_connections=1, circuit_breakers={"max_pending": 2}))) as serving:
            async with Client(serving.address) as client:
                first = client.unary(b"", timeout=60)
                await asyncio.wait_for(known.wait(), 30)
                waiting = [client.unary(b"", timeout=60) for _ in range(4)]
                failing = [asyncio.ensure_future(failure(call)) for call in waiting]
                done, _ = await asyncio.wait(failing, return_when=asyncio.FIRST_COMPLETED)
                error = done.pop().result()
                assert error.code() == grpc.StatusCode.UNAVAILABLE
                assert "overflow" in str(error.details())
                first.cancel()
                for one in failing:
                    one.cancel()
