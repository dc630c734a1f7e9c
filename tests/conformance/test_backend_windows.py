"""A backend that sends more than its windows allow: RFC 9113, section 6.9.1.

A stream's window is what holds it, for that window opens only as its client reads. The connection's is credited as
DATA arrives, and which updates the backend has seen nobody can tell: what it sends on many streams is bounded by
theirs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

from tests.support.cores import Served, document, serve
from tests.support.frames import (
    DATA,
    FLOW_CONTROL_ERROR,
    HEADERS,
    INITIAL_WINDOW,
    INITIAL_WINDOW_SIZE,
    LARGEST_FRAME,
    MAX_CONCURRENT_STREAMS,
    RST_STREAM,
    WINDOW_UPDATE,
    block,
    data,
    headers,
    request,
    window_update,
)
from tests.support.waiting import wait_for
from tests.support.wire import Backend, StreamReset, Tolerated, Wire

METHOD = "/test.Kinds/Unary"
GRPC = ("content-type", "application/grpc")
ASKED = block(request(GRPC, ("te", "trailers"), method="POST", path=METHOD))
HEAD = block([(":status", "200"), GRPC])
GOOD_END = block([("grpc-status", "0")])
MESSAGE = b"\0\0\0\0\x05hello"
INTERNAL = str(grpc.StatusCode.INTERNAL.value[0])
UNAVAILABLE = str(grpc.StatusCode.UNAVAILABLE.value[0])


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as backend:
        yield backend


@pytest.fixture
def served(backend: Backend) -> Iterator[Served]:
    with serve(document(backend.address)) as served:
        yield served


def stalled_client(served: Served) -> Wire:
    """Asks, and grants no window for the response."""
    client = Wire.client(served.address, (INITIAL_WINDOW_SIZE, 0))
    client.send(headers(1, ASKED))
    return client


def good(stream: int) -> bytes:
    return headers(stream, HEAD, end=False) + data(stream, MESSAGE) + headers(stream, GOOD_END)


def stream_window(wire: Wire) -> int:
    """What the gateway lets a backend send on each stream."""
    offered: int = dict(struct.iter_unpack(">HI", wire.frames[0].payload))[INITIAL_WINDOW_SIZE]
    return offered


def body(stream: int, length: int) -> bytes:
    """DATA of so many bytes in all, in frames as large as they may be."""
    sizes = [min(LARGEST_FRAME, length - at) for at in range(0, length, LARGEST_FRAME)]
    return b"".join(data(stream, bytes(size)) for size in sizes)


def fill(stream: int, window: int) -> bytes:
    """The head of a response, and as much of a body as the window takes."""
    return headers(stream, HEAD, end=False) + body(stream, window)


BEYOND: dict[str, Callable[[int], bytes]] = {
    "a byte": lambda s: data(s, b"x"),
    "a frame": lambda s: data(s, bytes(LARGEST_FRAME)),
    "padding alone": lambda s: data(s, b"", padding=0),
    "the end with a byte": lambda s: data(s, b"x", end=True),
    "again and again": lambda s: data(s, bytes(LARGEST_FRAME)) * 100,
}


@pytest.mark.parametrize("beyond", BEYOND.values(), ids=BEYOND)
def test_data_beyond_a_streams_window_ends_that_stream_alone(
    served: Served, backend: Backend, beyond: Callable[[int], bytes]
) -> None:
    """One neighbour on the same connection to the backend, one on another."""
    with ExitStack() as stack:
        client = stack.enter_context(stalled_client(served))
        wire = stack.enter_context(backend.greet((MAX_CONCURRENT_STREAMS, 2)))
        stream = wire.until_kind(HEADERS).stream
        channel = stack.enter_context(grpc.insecure_channel(served.address, [("grpc.enable_retries", 0)]))
        unary: Any = channel.unary_unary(METHOD)
        near, far = (unary.future(b"", timeout=60) for _ in range(2))
        neighbour = wire.until_kind(HEADERS).stream
        other = stack.enter_context(backend.greet())
        wire.send(fill(stream, stream_window(wire)))
        assert wire.outcome(stream) == Tolerated()
        wire.send(beyond(stream))
        assert wire.outcome(stream) == StreamReset(FLOW_CONTROL_ERROR)
        assert len([one for one in wire.frames if one.kind == RST_STREAM]) == 1
        wire.send(good(neighbour))
        other.send(good(other.until_kind(HEADERS).stream))
        assert [call.result() for call in (near, far)] == [b"hello"] * 2
        client.send(window_update(1, 1 << 24), window_update(0, 1 << 24))
        answer = client.answer(1)
        assert answer.trailers["grpc-status"] in (INTERNAL, UNAVAILABLE)
        assert answer.trailers["grpc-message"]
        wait_for("the end of the stream", lambda: served.core.active_streams() == 0)
        assert served.gauge("buffered_bytes") == 0


def test_data_of_many_streams_beyond_the_connections_window_waits_in_theirs(backend: Backend) -> None:
    """The backend never waits for an update of the connection's window, which is far smaller than what it sends."""
    streams = 20
    limits = {"connection_window_bytes": INITIAL_WINDOW}
    with ExitStack() as stack:
        served = stack.enter_context(serve(document(backend.address, limits=limits)))
        clients = [stack.enter_context(stalled_client(served)) for _ in range(streams)]
        wire = stack.enter_context(backend.greet())
        asked = [wire.until_kind(HEADERS).stream for _ in clients]
        window = stream_window(wire)
        for stream in asked:
            wire.send(fill(stream, window))
        assert wire.outcome() == Tolerated()
        credited = sum(one.number for one in wire.frames if one.kind == WINDOW_UPDATE and one.stream == 0)
        assert credited > streams * window - INITIAL_WINDOW
        assert served.gauge("buffered_bytes") <= streams * window
        wire.send(data(asked[0], b"x"))
        assert wire.outcome(asked[0]) == StreamReset(FLOW_CONTROL_ERROR)
        for stream, client in zip(asked[1:], clients[1:], strict=True):
            client.send(window_update(1, 1 << 24), window_update(0, 1 << 24))
            wire.send(headers(stream, GOOD_END))
            answer = client.answer(1)
            assert (len(answer.body), answer.trailers["grpc-status"]) == (window, "0")
        clients[0].socket.close()
        wait_for("the end of all streams", lambda: served.core.active_streams() == 0)
        assert served.gauge("buffered_bytes") == 0


def test_a_window_that_a_client_opens_is_the_backends_to_use(served: Served, backend: Backend) -> None:
    """Just what it was given: a byte more ends the stream, however much went through before."""
    with stalled_client(served) as client, backend.greet() as wire:
        stream = wire.until_kind(HEADERS).stream
        window = stream_window(wire)
        wire.send(fill(stream, window))
        client.send(window_update(0, 1 << 24), window_update(1, window))
        received = 0
        while received < window:
            received += len(client.until_kind(DATA, 1).payload)
        assert wire.outcome(stream) == Tolerated()
        given = sum(one.number for one in wire.frames if one.kind == WINDOW_UPDATE and one.stream == stream)
        assert 0 < given <= window
        wire.send(body(stream, given))
        assert wire.outcome(stream) == Tolerated()
        again = sum(one.number for one in wire.frames if one.kind == WINDOW_UPDATE and one.stream == stream) - given
        assert again == 0
        wire.send(body(stream, window - given + 1))
        assert wire.outcome(stream) == StreamReset(FLOW_CONTROL_ERROR)
