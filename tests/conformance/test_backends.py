"""Our end of a backend's connection, when the backend is not what it should be.

The client gets a clear status, the connection goes where the rules say, and the next call is served.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from tests.support.cores import Served, document, serve
from tests.support.frames import (
    ACK,
    CONTINUATION,
    DATA,
    ENABLE_PUSH,
    END_HEADERS,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    INTERNAL_ERROR,
    LARGEST_FRAME,
    LARGEST_WINDOW,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    NO_ERROR,
    PREFACE,
    PUSH_PROMISE,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    UNKNOWN,
    WINDOW_UPDATE,
    block,
    continuation,
    data,
    frame,
    goaway,
    headers,
    indexed,
    literal,
    ping,
    priority,
    request,
    reset,
    settings,
    table_size,
    window_update,
)
from tests.support.wire import Backend, StreamReset, Tolerated, Wire

METHOD = "/test.Kinds/Unary"
STATUS = (":status", "200")
GRPC = ("content-type", "application/grpc")
HEAD = block([STATUS, GRPC])
MESSAGE = b"\0\0\0\0\x05hello"
TRAILERS = block([("grpc-status", "0")])

UNAVAILABLE, INTERNAL = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL


@dataclass(frozen=True, slots=True)
class World:
    served: Served
    backend: Backend
    unary: Any

    def call(self, content: bytes = b"x") -> Any:
        """Begins a call; it has `code()`, `details()` and `result()`."""
        return self.unary.future(content, timeout=60)

    def serve_one(self, wire: Wire) -> None:
        """Answers the next request of a connection as it should be."""
        wire.send(good(wire.until_kind(HEADERS).stream))

    def settled(self, *pairs: tuple[int, int]) -> Wire:
        """A connection on which a call has been served, so that our SETTINGS are known on the other end."""
        call = self.call()
        wire = self.backend.greet(*pairs)
        wire.until(lambda one: one.kind == SETTINGS and bool(one.flags & ACK))
        stream = next((one.stream for one in wire.frames if one.kind == HEADERS), 0) or wire.until_kind(HEADERS).stream
        wire.send(window_update(stream, 1000), good(stream))
        assert call.result() == b"hello"
        return wire

    def check_next_call(self, wire: Wire | None = None) -> None:
        """A further call succeeds: over a new connection, or over `wire`."""
        call = self.call()
        if wire is not None:
            self.serve_one(wire)
            assert call.result() == b"hello"
            return
        with self.backend.greet() as fresh:
            self.serve_one(fresh)
            assert call.result() == b"hello"


def good(stream: int) -> bytes:
    return headers(stream, HEAD, end=False) + data(stream, MESSAGE) + headers(stream, TRAILERS)


@pytest.fixture
def world() -> Iterator[World]:
    with Backend() as backend, serve(document(backend.address)) as served:
        with grpc.insecure_channel(served.address, [("grpc.enable_retries", 0)]) as channel:
            yield World(served, backend, channel.unary_unary(METHOD))


BROKEN: dict[str, Callable[[int], bytes]] = {
    "4.2 a frame over the limit": lambda s: headers(s, HEAD, end=False) + data(s, bytes(LARGEST_FRAME + 1)),
    "4.3 a block that cannot be decoded": lambda s: headers(s, b"\x80"),
    "4.3 a table size over the limit": lambda s: headers(s, table_size(1 << 16) + HEAD),
    "5.1 HEADERS on an idle stream": lambda s: headers(s + 2, HEAD),
    "5.1 DATA on an idle stream": lambda s: data(s + 2, b"x"),
    "5.1 RST_STREAM on an idle stream": lambda s: reset(s + 2),
    "5.1 WINDOW_UPDATE on an idle stream": lambda s: window_update(s + 2, 1),
    "5.1.1 HEADERS on a stream of the server": lambda s: headers(2, HEAD),
    "6.1 DATA on stream 0": lambda s: data(0, b"x"),
    "6.2 HEADERS on stream 0": lambda s: headers(0, HEAD),
    "6.4 RST_STREAM of 5 bytes": lambda s: frame(RST_STREAM, 0, s, bytes(5)),
    "6.5 SETTINGS on a stream": lambda s: settings(stream=s),
    "6.5 SETTINGS cut short": lambda s: frame(4, 0, 0, bytes(5)),
    "6.5.2 ENABLE_PUSH of a server": lambda s: settings((ENABLE_PUSH, 1)),
    "6.5.2 INITIAL_WINDOW_SIZE over 2^31-1": lambda s: settings((INITIAL_WINDOW_SIZE, 2**31)),
    "6.5.2 MAX_FRAME_SIZE of 1": lambda s: settings((MAX_FRAME_SIZE, 1)),
    "6.6 PUSH_PROMISE": lambda s: frame(PUSH_PROMISE, END_HEADERS, s, struct.pack(">I", 2) + HEAD),
    "6.7 PING of 7 bytes": lambda s: ping(bytes(7)),
    "6.8 GOAWAY cut short": lambda s: frame(7, 0, 0, bytes(4)),
    "6.9 WINDOW_UPDATE of 0": lambda s: window_update(0, 0),
    "6.9.1 a window over 2^31-1": lambda s: window_update(0, LARGEST_WINDOW) * 2,
    "6.9.2 a stream's window over 2^31-1": lambda s: (
        window_update(s, LARGEST_WINDOW - 65_535) + settings((INITIAL_WINDOW_SIZE, 66_000))
    ),
    "6.10 CONTINUATION alone": lambda s: continuation(s, HEAD),
    "6.10 a header block without end": lambda s: headers(s, HEAD, flags=0) + continuation(s, b"", last=False) * 1000,
    "6.10 another frame within a block": lambda s: headers(s, HEAD, flags=0) + ping(),
}


@pytest.mark.parametrize("sent", BROKEN.values(), ids=BROKEN)
def test_a_connection_that_breaks_the_rules_is_told_so_and_left(world: World, sent: Callable[[int], bytes]) -> None:
    call = world.call()
    with world.backend.greet() as wire:
        wire.send(sent(wire.until_kind(HEADERS).stream))
        assert call.code() in (UNAVAILABLE, INTERNAL)
        assert call.details()
        while wire.read() is not None:
            pass
    world.check_next_call()


@pytest.mark.parametrize("rule", ["4.3 a block that cannot be decoded", "6.1 DATA on stream 0", "6.6 PUSH_PROMISE"])
def test_it_is_told_why(world: World, rule: str) -> None:
    """RFC 9113, section 5.4.1: an endpoint that meets a connection error first sends GOAWAY."""
    call = world.call()
    with world.backend.greet() as wire:
        wire.send(BROKEN[rule](wire.until_kind(HEADERS).stream))
        assert call.code() in (UNAVAILABLE, INTERNAL)
        assert int.from_bytes(wire.until_kind(7).payload[4:8], "big") != NO_ERROR


MALFORMED: dict[str, Callable[[int], bytes]] = {
    "8.1 DATA before HEADERS": lambda s: data(s, MESSAGE),
    "8.1 DATA and nothing else": lambda s: data(s, b"", end=True),
    "8.1 interim and the end": lambda s: headers(s, block([(":status", "103")])),
    "8.3.2 no :status": lambda s: headers(s, block([GRPC]), end=False),
    "8.3.2 two :status": lambda s: headers(s, block([STATUS, STATUS, GRPC]), end=False),
    "8.3.2 :status behind a field": lambda s: headers(s, block([GRPC, STATUS]), end=False),
    "8.3.2 :status of letters": lambda s: headers(s, block([(":status", "abc")]), end=False),
    "8.3.2 :status of two digits": lambda s: headers(s, block([(":status", "20")]), end=False),
    "8.3.2 :status of 099": lambda s: headers(s, block([(":status", "099")]), end=False),
    "8.3.2 an empty :status": lambda s: headers(s, block([(":status", "")]), end=False),
    "8.3.2 a pseudo field of requests": lambda s: headers(s, block([STATUS, (":path", "/")]), end=False),
    "8.2.1 an upper-case name": lambda s: headers(s, block([STATUS, GRPC, ("X-Test", "1")]), end=False),
    "8.2.1 a line feed in a value": lambda s: headers(s, block([STATUS, GRPC, ("x-test", "1\r\nx: 2")]), end=False),
    "8.2.2 connection": lambda s: headers(s, block([STATUS, GRPC, ("connection", "close")]), end=False),
    "8.2.2 transfer-encoding": lambda s: headers(s, block([STATUS, ("transfer-encoding", "chunked")]), end=False),
    "8.6 101": lambda s: headers(s, block([(":status", "101")]), end=False),
    "8.1.1 content-length of letters": lambda s: headers(s, block([STATUS, ("content-length", "ten")]), end=False),
    "6.5.2 too many fields": lambda s: headers(s, HEAD + literal(b"x-many", b"") * 300, end=False),
    "6.5.2 fields over the limit": lambda s: headers(
        s, HEAD + literal(b"x-l", b"v" * 4000, 0x40) + indexed(62) * 20, end=False
    ),
    "6.9 WINDOW_UPDATE of 0 on the stream": lambda s: window_update(s, 0),
    "6.9.1 a stream's window over 2^31-1": lambda s: window_update(s, LARGEST_WINDOW),
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_response_fails_its_call_alone(world: World, sent: Callable[[int], bytes]) -> None:
    call, neighbour = world.call(), world.call()
    with world.backend.greet() as wire:
        first, second = (wire.until_kind(HEADERS).stream for _ in range(2))
        wire.send(sent(first))
        assert wire.until_kind(RST_STREAM).stream == first
        wire.send(good(second))
        results = {one.code() for one in (call, neighbour)}
        assert results == {UNAVAILABLE, grpc.StatusCode.OK}
        world.check_next_call(wire)


LATE: dict[str, Callable[[int], bytes]] = {
    "8.1 trailers without END_STREAM": lambda s: headers(s, TRAILERS, end=False),
    "8.1 a second :status": lambda s: headers(s, HEAD),
    "8.1 trailers with a pseudo field": lambda s: headers(s, block([("grpc-status", "0"), (":path", "/")])),
    "8.2.1 trailers with an upper-case name": lambda s: headers(s, block([("grpc-status", "0"), ("X", "1")])),
    "8.2.2 trailers with connection": lambda s: headers(s, block([("grpc-status", "0"), ("connection", "close")])),
    "RST_STREAM with NO_ERROR": lambda s: reset(s, NO_ERROR),
    "RST_STREAM with REFUSED_STREAM": lambda s: reset(s, REFUSED_STREAM),
    "RST_STREAM with an unknown code": lambda s: reset(s, 0xFFFF_FFFF),
    "an interim response behind the final one": lambda s: headers(s, block([(":status", "103")]), end=False),
    "GOAWAY that leaves the stream out": lambda s: goaway(0, INTERNAL_ERROR),
}


@pytest.mark.parametrize("sent", LATE.values(), ids=LATE)
def test_a_response_that_goes_wrong_behind_its_head_ends_in_a_status(
    world: World, sent: Callable[[int], bytes]
) -> None:
    call = world.call()
    with world.backend.greet() as wire:
        stream = wire.until_kind(HEADERS).stream
        wire.send(headers(stream, HEAD, end=False), data(stream, b"\0\0\0\x7f\xff"))
        wire.send(sent(stream))
        assert call.code() in (UNAVAILABLE, INTERNAL, grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert call.details()
    assert world.served.is_alive()


@pytest.mark.parametrize("code", range(14))
def test_a_reset_before_the_response_is_a_status(world: World, code: int) -> None:
    call = world.call()
    with world.backend.greet() as wire:
        wire.send(reset(wire.until_kind(HEADERS).stream, code))
        if code == REFUSED_STREAM:
            wire.send(reset(wire.until_kind(HEADERS).stream, code))
        assert call.code() is UNAVAILABLE
        assert "upstream" in call.details()
        world.check_next_call(wire)


FINE: dict[str, Callable[[int], bytes]] = {
    "an interim response": lambda s: headers(s, block([(":status", "100")]), end=False) + good(s),
    "several interim responses": lambda s: (
        headers(s, block([(":status", "103"), ("link", "</>")]), end=False) * 5 + good(s)
    ),
    "an unknown frame": lambda s: frame(UNKNOWN, 0xFF, s, b"x") + good(s),
    "PRIORITY": lambda s: priority(s, 0) + good(s),
    "PING": lambda s: ping() + good(s),
    "an unknown setting": lambda s: settings((0xFF, 1)) + good(s),
    "a table size of 0": lambda s: settings((1, 0)) + good(s),
    "padding": lambda s: headers(s, HEAD, end=False) + data(s, MESSAGE, padding=200) + headers(s, TRAILERS),
    "empty DATA": lambda s: headers(s, HEAD, end=False) + data(s) * 3 + data(s, MESSAGE) + headers(s, TRAILERS),
    "byte by byte": lambda s: (
        headers(s, HEAD, end=False) + b"".join(data(s, bytes([byte])) for byte in MESSAGE) + headers(s, TRAILERS)
    ),
    "header fields over many frames": lambda s: (
        headers(s, HEAD[:1], end=False, flags=0)
        + b"".join(continuation(s, HEAD[at : at + 8], last=at + 8 >= len(HEAD)) for at in range(1, len(HEAD), 8))
        + data(s, MESSAGE)
        + headers(s, TRAILERS)
    ),
    "RST_STREAM with NO_ERROR behind the end": lambda s: good(s) + reset(s, NO_ERROR),
    "DATA behind the end": lambda s: good(s) + data(s, b"x"),
    "HEADERS behind the end": lambda s: good(s) + headers(s, HEAD),
}


@pytest.mark.parametrize("sent", FINE.values(), ids=FINE)
def test_what_a_backend_may_do_is_served(world: World, sent: Callable[[int], bytes]) -> None:
    call = world.call()
    with world.backend.greet() as wire:
        wire.send(sent(wire.until_kind(HEADERS).stream))
        assert call.result() == b"hello"
        world.check_next_call(wire)


GOING: dict[str, Callable[[int], bytes]] = {
    "that names the stream": lambda s: goaway(s) + good(s),
    "in two steps": lambda s: goaway(LARGEST_WINDOW) + goaway(s) + good(s),
    "with an error": lambda s: goaway(LARGEST_WINDOW, ENHANCE_YOUR_CALM, b"too_many_pings") + good(s),
}


@pytest.mark.parametrize("sent", GOING.values(), ids=GOING)
def test_a_backend_that_goes_away_finishes_what_it_has(world: World, sent: Callable[[int], bytes]) -> None:
    call = world.call()
    with world.backend.greet() as wire:
        wire.send(sent(wire.until_kind(HEADERS).stream))
        assert call.result() == b"hello"
        world.check_next_call()


@pytest.mark.parametrize(
    "sent",
    [b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", b"\x15\x03\x01\0\x02\x02\x16", ping(), b""],
    ids=["HTTP/1.1", "TLS", "no SETTINGS", "nothing"],
)
def test_a_backend_that_speaks_something_else_is_unavailable(world: World, sent: bytes) -> None:
    """A connection that never came to its SETTINGS counts as one that failed, and is tried once more."""
    call = world.call()
    for _ in range(2):
        with world.backend.accept() as wire:
            wire.take_raw(len(PREFACE))
            wire.send(sent)
    assert call.code() is UNAVAILABLE
    assert call.details()
    world.check_next_call()


@pytest.mark.parametrize("code", [NO_ERROR, ENHANCE_YOUR_CALM])
def test_a_stream_that_goaway_leaves_out_is_served_by_another_connection(world: World, code: int) -> None:
    call = world.call()
    with world.backend.greet() as wire:
        wire.until_kind(HEADERS)
        wire.send(goaway(0, code))
        with world.backend.greet() as fresh:
            world.serve_one(fresh)
            assert call.result() == b"hello"


def test_a_refused_stream_is_sent_again(world: World) -> None:
    call = world.call()
    with world.backend.greet() as wire:
        wire.send(reset(wire.until_kind(HEADERS).stream, REFUSED_STREAM))
        world.serve_one(wire)
        assert call.result() == b"hello"


def test_no_more_streams_are_opened_than_a_backend_takes(world: World) -> None:
    with world.settled((MAX_CONCURRENT_STREAMS, 1)) as wire:
        calls = [world.call()]
        first = wire.until_kind(HEADERS).stream
        calls.append(world.call())
        with world.backend.greet() as second:
            world.serve_one(second)
            wire.send(good(first))
            assert [call.result() for call in calls] == [b"hello"] * 2


def test_a_backend_that_takes_no_streams_is_asked_again_when_it_does(world: World) -> None:
    snapshot = document(world.backend.address)
    snapshot["backends"][0]["max_connections"] = 1
    world.served.core.apply(json.dumps(snapshot).encode())
    call = world.call()
    with world.backend.greet((MAX_CONCURRENT_STREAMS, 0)) as wire:
        assert wire.outcome() == Tolerated()
        wire.send(settings((MAX_CONCURRENT_STREAMS, 1)))
        world.serve_one(wire)
        assert call.result() == b"hello"


def test_a_backend_without_a_window_gets_the_body_as_it_opens_it(world: World) -> None:
    with world.settled((INITIAL_WINDOW_SIZE, 0)) as wire:
        call = world.call(bytes(100))
        stream = wire.until_kind(HEADERS).stream
        body = b""
        while len(body) < 105:
            wire.send(window_update(stream, 21))
            part = wire.until_kind(DATA, stream)
            assert len(part.payload) == 21
            body += part.payload
        assert body == b"\0\0\0\0\x64" + bytes(100)
        wire.send(good(stream))
        assert call.result() == b"hello"


def test_data_beyond_our_window_resets_the_stream(world: World) -> None:
    """The client takes nothing, so what the backend may send is one window."""
    with Wire.client(world.served.address, (INITIAL_WINDOW_SIZE, 0)) as client:
        client.send(headers(1, block(request(path="/"))))
        with world.backend.greet() as wire:
            stream = wire.until_kind(HEADERS).stream
            offered = dict(struct.iter_unpack(">HI", wire.frames[0].payload))[INITIAL_WINDOW_SIZE]
            wire.send(headers(stream, block([STATUS]), end=False))
            wire.send(*(data(stream, bytes(LARGEST_FRAME)) for _ in range(offered // LARGEST_FRAME)))
            assert wire.outcome(stream) == Tolerated()
            wire.send(data(stream, b"x"))
            assert wire.outcome(stream) == StreamReset(FLOW_CONTROL_ERROR)
            assert client.until_kind(RST_STREAM, 1)
            wire.send(ping())


def test_data_beyond_our_windows_for_a_client_leaves_its_neighbours_alone(world: World) -> None:
    """The same towards us: the backend takes nothing, so a client may send one window."""
    with world.settled((INITIAL_WINDOW_SIZE, 0)) as wire, Wire.client(world.served.address) as client:
        offered = dict(struct.iter_unpack(">HI", client.frames[0].payload))[INITIAL_WINDOW_SIZE]
        client.send(headers(1, block(request(method="POST")), end=False))
        client.send(*(data(1, bytes(LARGEST_FRAME)) for _ in range(offered // LARGEST_FRAME)))
        assert client.outcome(1) == Tolerated()
        client.send(data(1, b"x"))
        assert client.outcome(1) == StreamReset(FLOW_CONTROL_ERROR)
        assert wire.until_kind(RST_STREAM)


def test_its_pings_are_answered(world: World) -> None:
    call = world.call()
    with world.backend.greet() as wire:
        stream = wire.until_kind(HEADERS).stream
        wire.send(ping(b"keepaliv"))
        answer = wire.until(lambda one: one.kind == 6 and bool(one.flags & ACK))
        assert answer.payload == b"keepaliv"
        wire.send(good(stream))
        assert call.result() == b"hello"


def test_the_connection_begins_as_the_rules_say(world: World) -> None:
    """Preface, then SETTINGS without push; streams with odd numbers that rise; fields that are allowed."""
    calls = [world.call() for _ in range(3)]
    with world.backend.greet() as wire:
        streams = []
        for _ in range(3):
            opened = wire.until_kind(HEADERS)
            streams.append(opened.stream)
            names = [name for name, _ in wire.fields(opened)]
            assert names[:4].count(":path") == 1
            assert all(name == name.lower() for name in names)
            wire.send(good(opened.stream))
        assert [call.result() for call in calls] == [b"hello"] * 3
        assert streams == [1, 3, 5]
        assert dict(struct.iter_unpack(">HI", wire.frames[0].payload))[ENABLE_PUSH] == 0
        assert not [one for one in wire.frames if one.kind == CONTINUATION]
        assert sum(one.number for one in wire.frames if one.kind == WINDOW_UPDATE and one.stream == 0) > 0
