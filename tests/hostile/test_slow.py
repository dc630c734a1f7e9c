"""Slow loris: clients that begin and do not end. Each is cut off after its time, and counted.

Times are short here by configuration; no test asserts how long anything took.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile.conftest import World
from tests.support.backends import GrpcBackend
from tests.support.certificates import Authority
from tests.support.cores import document, serve
from tests.support.frames import GET, PREFACE, continuation, frame, headers, settings
from tests.support.recorder import Recorder
from tests.support.waiting import wait_for
from tests.support.wire import connect

LIMITS = {"header_timeout_ms": 400, "body_timeout_ms": 400}
HEAD = b"GET / HTTP/1.1\r\nhost: a\r\n"
POST = b"POST /test.Kinds/Unary HTTP/1.1\r\nhost: a\r\n"


@pytest.fixture(scope="module")
def hurried(backend: GrpcBackend) -> Iterator[World]:
    with serve(document(backend.address, limits=LIMITS)) as served:
        yield World(served)


@pytest.fixture(scope="module")
def hurried_plain() -> Iterator[World]:
    """In front of a backend that waits for the end of every request."""
    with Recorder() as recorder, serve(document(recorder.address, limits=LIMITS)) as served:
        yield World(served)


@pytest.fixture(scope="module")
def hurried_tls(backend: GrpcBackend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    pair = Authority(Path(tmp_path_factory.mktemp("tls"))).issue("gateway.test")
    certificate = {"chain_pem": pair.chain.read_text(), "key_pem": pair.key.read_text()}
    listener = {"name": "main", "address": "127.0.0.1:0", "tls": {"certificates": [certificate]}}
    plain = {"name": "plain", "address": "127.0.0.1:0"}
    with serve(document(backend.address, limits=LIMITS, listeners=[plain, listener])) as served:
        yield World(served)


def drain(client: socket.socket) -> bytes:
    """Everything up to the end of the connection, which may be a reset."""
    received = b""
    try:
        while part := client.recv(1 << 16):
            received += part
    except ConnectionResetError:
        pass
    return received


HALVES = {
    "nothing at all": b"",
    "a part of the preface": PREFACE[:10],
    "the preface and no SETTINGS": PREFACE,
    "the preface and a part of SETTINGS": PREFACE + settings((4, 100))[:11],
    "HTTP/2: a block without its end": PREFACE + settings() + headers(1, GET, flags=0),
    "HTTP/2: a block with some CONTINUATION": PREFACE
    + settings()
    + headers(1, GET[:5], flags=0)
    + continuation(1, GET[5:], last=False),
    "HTTP/2: a part of HEADERS": PREFACE + settings() + headers(1, GET)[:-3],
    "HTTP/2: a part of a frame's head": PREFACE + settings() + b"\0\0",
    "HTTP/2: a part of an unknown frame": PREFACE + settings() + frame(0x99, 0, 0, b"xx", length=100),
    "HTTP/1.1: a part of the request line": b"GET / HT",
    "HTTP/1.1: a head without its end": HEAD,
    "HTTP/1.1: an empty line": b"\r\n",
}


@pytest.mark.parametrize("sent", HALVES.values(), ids=HALVES)
def test_what_does_not_end_is_cut_off(hurried: World, sent: bytes) -> None:
    before = hurried.served.counter("head_timeouts_total")
    with hurried.undisturbed(), connect(hurried.address) as client:
        client.sendall(sent)
        answer = drain(client)
        if sent[:3] in (b"GET", b"\r\n"):
            assert answer.startswith(b"HTTP/1.1 408 ") or answer == b""
    assert hurried.served.counter("head_timeouts_total") == before + 1


TRICKLES: dict[str, tuple[bytes, Callable[[int], bytes]]] = {
    "HTTP/1.1: a head byte by byte": (HEAD, lambda number: b"x-%d: y\r\n" % number),
    "HTTP/2: CONTINUATION after CONTINUATION": (
        PREFACE + settings() + headers(1, GET, flags=0),
        lambda _: continuation(1, b"", last=False),
    ),
    "HTTP/2: a frame byte by byte": (PREFACE + settings() + frame(1, 5, 1, b"", length=16_000), lambda _: b"x"),
    "the preface byte by byte": (b"", lambda number: PREFACE[number % 24 : number % 24 + 1]),
}


@pytest.mark.parametrize(("first", "more"), TRICKLES.values(), ids=TRICKLES)
def test_a_trickle_is_no_way_around(hurried: World, first: bytes, more: Callable[[int], bytes]) -> None:
    """Each byte comes well within the time, all of them together do not."""
    before, floods = hurried.served.counter("head_timeouts_total"), hurried.served.counter("floods_total")
    with hurried.undisturbed(), connect(hurried.address) as client:
        client.settimeout(0.05)
        client.sendall(first)
        for number in range(20 if first == b"" else 600):
            try:
                client.sendall(more(number))
                if client.recv(1 << 16) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        client.settimeout(30)
        drain(client)
    assert hurried.served.counter("head_timeouts_total") == before + 1
    assert hurried.served.counter("floods_total") == floods


BODIES = {
    "a length": POST + b"content-length: 10\r\n\r\n12345",
    "no byte of a length": POST + b"content-length: 10\r\n\r\n",
    "chunks": POST + b"transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n",
    "a part of a chunk": POST + b"transfer-encoding: chunked\r\n\r\n5\r\n12",
    "a chunk's size": POST + b"transfer-encoding: chunked\r\n\r\n5",
    "trailers": POST + b"transfer-encoding: chunked\r\n\r\n0\r\nx-trailer: 1\r\n",
}


@pytest.mark.parametrize("sent", BODIES.values(), ids=BODIES)
def test_a_body_that_does_not_end_is_cut_off(hurried_plain: World, sent: bytes) -> None:
    before = hurried_plain.served.counter("failures_total", reason="body-timeout")
    with connect(hurried_plain.address) as client:
        client.sendall(sent)
        assert drain(client).startswith(b"HTTP/1.1 408 ")
    with connect(hurried_plain.address) as neighbour:
        neighbour.sendall(HEAD + b"\r\n")
        assert neighbour.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
    assert hurried_plain.served.counter("failures_total", reason="body-timeout") == before + 1


def test_who_has_asked_and_now_is_silent_is_not_slow(hurried: World) -> None:
    """A kept connection outlives the time for a head, which is seen by one that does not."""
    with connect(hurried.address) as idle:
        idle.sendall(HEAD + b"\r\n")
        assert idle.recv(1 << 16)
        with connect(hurried.address) as slow:
            slow.sendall(HEAD)
            drain(slow)
        idle.sendall(HEAD + b"\r\n")
        assert idle.recv(1 << 16).startswith(b"HTTP/1.1 ")


HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32)


@pytest.mark.parametrize("sent", [b"", HELLO[:3], HELLO], ids=["nothing", "a part of a record", "a part of the hello"])
def test_a_handshake_that_does_not_end_is_cut_off(hurried_tls: World, sent: bytes) -> None:
    address = dict(hurried_tls.served.core.listeners())["main"]
    before = hurried_tls.served.counter("head_timeouts_total")
    with hurried_tls.undisturbed(), connect(address) as client:
        client.sendall(sent)
        drain(client)
    assert hurried_tls.served.counter("head_timeouts_total") == before + 1


@pytest.mark.parametrize("protocols", [["h2"], ["http/1.1"], []], ids=str)
@pytest.mark.parametrize("sent", [b"", b"P", HEAD], ids=["nothing", "a letter", "half a head"])
def test_a_request_that_does_not_follow_a_handshake_is_cut_off(
    hurried_tls: World, protocols: list[str], sent: bytes
) -> None:
    address = dict(hurried_tls.served.core.listeners())["main"]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(protocols)
    with hurried_tls.undisturbed(), connect(address) as plain, context.wrap_socket(plain) as client:
        client.sendall(sent)
        drain(client)


def test_empty_lines_are_no_request(hurried: World) -> None:
    """One before a request is ignored (RFC 9112, section 2.2); who sends nothing else is not kept."""
    with hurried.undisturbed(), connect(hurried.address) as client:
        client.sendall(b"\r\n" * 100)
        drain(client)


def test_many_slow_clients_are_all_gone_in_the_end(hurried: World) -> None:
    clients = [connect(hurried.address) for _ in range(200)]
    try:
        with hurried.undisturbed():
            for at, client in enumerate(clients):
                client.sendall((HEAD, PREFACE, b"POST")[at % 3])
            wait_for("the end of all", lambda: hurried.served.gauge("connections") <= 4)
    finally:
        for client in clients:
            client.close()
