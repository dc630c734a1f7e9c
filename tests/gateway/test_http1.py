"""HTTP/1.1 and HTTP/1.0 clients, whatever the backend speaks."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import aiohttp
import grpc
import h2.events
import pytest

from tests.gateway.backends import Backend, Client, failure
from tests.gateway.core import Serving, document, listener
from tests.gateway.raw import GRPC_END, GRPC_HEAD, Peer, RawBackend, head_of, http1, message, pairs, requests

HEALTH = {"name": "grpc.health.v1.Health.Check", "bindings": [{"verb": "GET", "template": "/v1/health"}]}


async def echo(peer: Peer) -> None:
    """A plain HTTP/2 backend: says what it was asked, and returns the body."""
    bodies: dict[int, bytes] = {}
    heads: dict[int, list[tuple[str, str]]] = {}
    while True:
        event = await peer.next(h2.events.Event)
        match event:
            case h2.events.RequestReceived():
                heads[event.stream_id], bodies[event.stream_id] = list(pairs(event).items()), b""
            case h2.events.DataReceived():
                bodies[event.stream_id] += event.data or b""
            case h2.events.StreamEnded():
                head, body = heads.pop(event.stream_id), bodies.pop(event.stream_id)
                said = [(f"seen-{name.lstrip(':')}", value) for name, value in head]
                peer.h2.send_headers(event.stream_id, [(":status", "200"), *said], end_stream=not body)
                while body:
                    room = min(peer.h2.local_flow_control_window(event.stream_id), 16384, len(body))
                    if room == 0:
                        await peer.flush()
                        await peer.next(h2.events.WindowUpdated)
                        continue
                    peer.h2.send_data(event.stream_id, body[:room], end_stream=room == len(body))
                    body = body[room:]
                await peer.flush()


async def test_connections_are_kept_alive() -> None:
    async with RawBackend(echo) as app:
        with Serving(document(app.address)) as serving:
            async with await http1(serving.place) as client:
                for number in range(20):
                    answer = await client.get(f"/{number}?q=1")
                    assert (answer.version, answer.status) == ("HTTP/1.1", 200)
                    assert answer.fields["seen-path"] == f"/{number}?q=1"
                    assert answer.fields["seen-authority"] == "gate.test"
                    assert answer.fields["server"] == "tidegate"
                    assert "date" in answer.fields
                answer = await client.get("/", "connection: close")
                assert answer.fields["connection"] == "close"
                assert await client.closed() == b""
            assert serving.number("connections_accepted_total") == 1


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async with RawBackend(echo) as app:
        with Serving(document(app.address)) as serving:
            async with await http1(serving.place) as client:
                lines = b"".join(b"GET /%d HTTP/1.1\r\nhost: a\r\n\r\n" % number for number in range(200))
                await client.send(lines)
                for number in range(200):
                    assert (await client.response()).fields["seen-path"] == f"/{number}"
                posts = b"".join(
                    b"POST /%d HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n%04d" % (n, n) for n in range(200)
                )
                await client.send(posts)
                for number in range(200):
                    answer = await client.response()
                    assert (answer.fields["seen-path"], answer.body) == (f"/{number}", b"%04d" % number)


async def test_a_request_may_come_byte_by_byte() -> None:
    async with RawBackend(echo) as app:
        with Serving(document(app.address)) as serving:
            async with await http1(serving.place) as client:
                for byte in b"POST /x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n":
                    await client.send(bytes([byte]))
                    await asyncio.sleep(0)
                assert (await client.response()).body == b"abc"


async def test_chunked_bodies_pass_whatever_their_chunks() -> None:
    body = os.urandom(300_000)
    async with RawBackend(echo) as app:
        with Serving(document(app.address)) as serving:
            async with await http1(serving.place) as client:
                await client.send(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
                at = 0
                for size in (1, 2, 16384, 16385, 70_000, 1_000_000):
                    chunk = body[at : at + size]
                    await client.send(b"%x;extension=1\r\n%b\r\n" % (len(chunk), chunk))
                    at += size
                await client.send(b"0\r\ntrailer: x\r\n\r\n")
                assert (await client.response()).body == body
                assert (await client.get("/again")).status == 200
            await serving.idle()


async def test_expect_100_continue() -> None:
    async with RawBackend(echo) as app:
        with Serving(document(app.address)) as serving:
            async with await http1(serving.place) as client:
                await client.send(b"PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
                assert (await client.response()).status == 100
                await client.send(b"hello")
                assert (await client.response()).body == b"hello"


async def test_a_refused_request_does_not_ask_for_its_body() -> None:
    routes = [{"name": "no", "match": {"path_prefix": "/no/"}, "backends": [{"name": "app"}]}]
    async with RawBackend(echo) as app:
        with Serving(document(app.address, routes=routes)) as serving:
            async with await http1(serving.place) as client:
                await client.send(b"PUT / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
                answer = await client.response()
                assert answer.status == 404
                assert answer.fields["connection"] == "close"


async def test_head_has_no_body_and_says_its_length() -> None:
    async def script(peer: Peer) -> None:
        for _ in range(2):
            request = await requests(peer)
            assert head_of(request)[":method"] == "HEAD"
            await peer.send(request.stream_id, [(":status", "200"), ("content-length", "1000")], end=True)
        await peer.closed()

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            async with await http1(serving.place) as client:
                for _ in range(2):
                    answer = await client.get("/", method="HEAD")
                    assert (answer.status, answer.fields["content-length"]) == (200, "1000")


async def test_http_1_0() -> None:
    async with RawBackend(echo) as app:
        with Serving(document(app.address)) as serving:
            async with await http1(serving.place) as client:
                await client.send(b"GET /old HTTP/1.0\r\n\r\n")
                everything = await client.closed()
                assert everything.startswith((b"HTTP/1.1 200 ", b"HTTP/1.0 200 "))
                assert b"chunked" not in everything
            async with await http1(serving.place) as client:
                await client.send(b"POST /old HTTP/1.0\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
                everything = await client.closed()
                assert everything.endswith(b"\r\n\r\nabc")


async def test_a_body_over_the_limit_answers_413() -> None:
    async with RawBackend(echo) as app:
        with Serving(document(app.address, limits={"max_body_bytes": 1000})) as serving:
            async with await http1(serving.place) as client:
                assert (await client.get("/", method="PUT", body=bytes(1000))).status == 200
                answer = await client.get("/", method="PUT", body=bytes(1001))
                assert (answer.status, json.loads(answer.body)["code"]) == (413, 413)
            async with await http1(serving.place) as client:
                await client.send(
                    b"PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n" + bytes(1001)
                )
                assert (await client.response()).status == 413
            async with Client(serving.address) as grpc_client:
                error = await failure(grpc_client.unary(bytes(2000), timeout=30))
                assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            await serving.idle()


async def test_a_status_without_a_body() -> None:
    async def script(peer: Peer) -> None:
        for status in ("204", "304", "200"):
            request = await requests(peer)
            await peer.send(request.stream_id, [(":status", status)], end=True)
        await peer.closed()

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            async with await http1(serving.place) as client:
                for status in (204, 304, 200):
                    answer = await client.get("/")
                    assert (answer.status, answer.body) == (status, b"")


async def test_interim_responses_pass() -> None:
    async def script(peer: Peer) -> None:
        request = await requests(peer)
        peer.h2.send_headers(request.stream_id, [(":status", "103"), ("link", "</style.css>")])
        await peer.send(request.stream_id, [(":status", "200")], end=True)
        await peer.closed()

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            async with await http1(serving.place) as client:
                answer = await client.get("/")
                assert (answer.status, answer.fields["link"]) == (103, "</style.css>")
                assert (await client.response()).status == 200


async def test_grpc_over_http1_passes_with_its_trailers() -> None:
    """A client of HTTP/1.1 that speaks gRPC and accepts trailers gets them behind a chunked body."""

    async def script(peer: Peer) -> None:
        request = await requests(peer)
        assert head_of(request)["content-type"] == "application/grpc"
        await peer.next(h2.events.StreamEnded)
        await peer.send(request.stream_id, GRPC_HEAD, message(b"hello"))
        await peer.send(request.stream_id, GRPC_END, end=True)
        await peer.closed()

    async with RawBackend(script) as app:
        with Serving(document(app.address)) as serving:
            async with await http1(serving.place) as client:
                fields = ("content-type: application/grpc", "te: trailers", "connection: te")
                answer = await client.get("/test.Gate/Unary", *fields, method="POST", body=message(b"hi"))
                assert answer.body == message(b"hello")
                assert answer.trailers["grpc-status"] == "0"


async def test_a_chunked_request_is_transcoded() -> None:
    async with Backend() as app:
        await app.set_health("SERVING", "shop")
        with Serving(document(app.address, methods=[HEALTH])) as serving:
            async with await http1(serving.place) as client:
                await client.send(
                    b"POST /grpc.health.v1.Health/Check HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
                    b'transfer-encoding: chunked\r\n\r\n5\r\n{"ser\r\nd\r\nvice":"shop"}\r\n0\r\n\r\n'
                )
                answer = await client.response()
                assert (answer.status, json.loads(answer.body)) == (200, {"status": "SERVING"})
                assert (await client.get("/v1/health")).status == 200


async def test_absolute_form_and_options() -> None:
    async with RawBackend(echo) as app:
        with Serving(document(app.address)) as serving:
            async with await http1(serving.place) as client:
                await client.send(b"GET http://other.test:81/x?y HTTP/1.1\r\nhost: other.test:81\r\n\r\n")
                answer = await client.response()
                assert (answer.fields["seen-authority"], answer.fields["seen-path"]) == ("other.test:81", "/x?y")
                await client.send(b"OPTIONS * HTTP/1.1\r\nhost: gate.test\r\n\r\n")
                answer = await client.response()
                assert (answer.fields["seen-method"], answer.fields["seen-path"]) == ("OPTIONS", "*")


async def test_many_clients_of_a_library() -> None:
    async with RawBackend(echo) as app:
        with Serving(document(app.address), workers=2) as serving:
            async with aiohttp.ClientSession(f"http://{serving.address}") as session:

                async def post(number: int) -> None:
                    body = os.urandom(number * 100)
                    async with session.post(f"/{number}", data=body, expect100=number % 10 == 0) as answer:
                        assert (answer.status, await answer.read()) == (200, body)

                await asyncio.gather(*(post(number) for number in range(300)))
            await serving.idle()


@pytest.mark.skipif(shutil.which("curl") is None, reason="absent: curl")
async def test_curl_over_all_versions() -> None:
    async with RawBackend(echo) as app:
        with Serving(document(app.address)) as serving:
            url = f"http://{serving.address}/curl"
            for option in ("--http1.0", "--http1.1", "--http2-prior-knowledge"):
                command = ["curl", "-sS", option, "--data-binary", "hello", "--max-time", "20", url]
                done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
                assert (done.returncode, done.stdout, done.stderr) == (0, b"hello", b"")


async def test_an_upgrade_to_h2c_is_ignored() -> None:
    """RFC 9113 dropped the upgrade; a server may go on in HTTP/1.1."""
    async with RawBackend(echo) as app:
        with Serving(document(app.address)) as serving:
            async with await http1(serving.place) as client:
                fields = ("connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAAP__")
                answer = await client.get("/", *fields)
                assert (answer.version, answer.status) == ("HTTP/1.1", 200)
                assert "seen-upgrade" not in answer.fields
                assert "seen-http2-settings" not in answer.fields


async def test_unix_sockets_on_both_sides_and_ipv6(tmp_path: Path) -> None:
    front = tmp_path / "front.sock"
    listeners = [listener(), listener("unix", f"unix://{front}"), listener("v6", "[::1]:0")]
    async with Backend(f"unix:{tmp_path / 'app.sock'}") as app:
        with Serving(document(app.address, listeners=listeners, methods=[HEALTH])) as serving:
            for name in ("main", "unix", "v6"):
                async with Client(serving.at(name)) as client:
                    assert await client.unary(b"x", timeout=30) == b"x"
            assert [str(call.value("x-forwarded-for")) for call in app.calls[::2]] == ["127.0.0.1", "::1"]
            async with await http1(str(front)) as plain:
                assert (await plain.get("/v1/health")).status == 200
        assert not front.exists()


async def test_a_stale_unix_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    front = tmp_path / "front.sock"
    async with Backend() as app:
        given = document(app.address, listeners=[listener("main", f"unix://{front}")])
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(front))
        with Serving(given) as serving:
            async with Client(serving.at("main")) as client:
                assert await client.unary(b"x", timeout=30) == b"x"
            with pytest.raises(OSError, match="another process listens"):
                Serving(given)
            async with Client(serving.at("main")) as client:
                assert await client.unary(b"x", timeout=30) == b"x"
