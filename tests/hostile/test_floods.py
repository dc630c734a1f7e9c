"""Frames by the thousand that cost us work and move nothing.

Each kind ends the connection that sent it, is counted, and disturbs nobody else.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.frames import (
    ENHANCE_YOUR_CALM,
    INITIAL_WINDOW_SIZE,
    LARGEST_FRAME,
    LARGEST_WINDOW,
    PRIORITY,
    UNKNOWN,
    block,
    continuation,
    data,
    frame,
    goaway,
    headers,
    literal,
    ping,
    priority,
    request,
    reset,
    settings,
    window_update,
)
from tests.support.wire import Wire

if TYPE_CHECKING:
    from tests.hostile.conftest import World

CALL = block(request(("content-type", "application/grpc"), ("te", "trailers"), method="POST", path="/test.Kinds/Bidi"))
EMPTY = block([*request(method="POST"), ("", "")])
LENGTH = block(request(("content-length", "1"), method="POST", path="/test.Kinds/Bidi"))

ENOUGH = 60_000
"""Frames, or streams, after which every flood must have been cut off, however slow the machine."""


def streams(each: Callable[[int], bytes]) -> Iterator[bytes]:
    """What is done on one new stream after the other."""
    return (each(2 * number + 1) for number in range(ENOUGH))


def again(unit: bytes, first: bytes = b"") -> Iterator[bytes]:
    yield first
    for _ in range(ENOUGH):
        yield unit


def flood(wire: Wire, parts: Iterator[bytes]) -> int:
    """Sends until the gateway has had enough, and returns the code of its GOAWAY."""
    chunk = b""
    for part in parts:
        chunk += part
        if len(chunk) > LARGEST_FRAME:
            wire.send(chunk)
            chunk = b""
            if wire.has_hung_up():
                break
    wire.send(chunk)
    return wire.last_words()


RESETS: dict[str, Callable[[int], bytes]] = {
    "rapid reset (CVE-2023-44487)": lambda s: headers(s, CALL, end=False) + reset(s),
    "rapid reset of whole requests": lambda s: headers(s, CALL) + reset(s),
    "made to reset by a window of 0 (CVE-2025-8671)": lambda s: headers(s, CALL, end=False) + window_update(s, 0),
    "made to reset by a window too large": lambda s: headers(s, CALL, end=False) + window_update(s, LARGEST_WINDOW),
    "made to reset by DATA behind the end": lambda s: headers(s, CALL) + data(s, b"x"),
    "made to reset by HEADERS behind the end": lambda s: headers(s, CALL) + headers(s, CALL),
    "made to reset by a dependency on itself": lambda s: headers(s, CALL, end=False) + priority(s, s),
    "made to reset by a PRIORITY cut short": lambda s: headers(s, CALL, end=False) + frame(PRIORITY, 0, s, bytes(4)),
    "made to reset by a wrong length": lambda s: headers(s, LENGTH, end=False) + data(s, b"xx"),
    "made to reset by a malformed request": lambda s: headers(s, block([(":method", "GET")])),
    "made to reset by trailers without end": lambda s: headers(s, CALL, end=False) + headers(s, b"", end=False),
    "fields without a name (CVE-2019-9516)": lambda s: headers(s, EMPTY),
    "more streams than we take": lambda s: headers(s, CALL, end=False),
}


@pytest.mark.parametrize("each", RESETS.values(), ids=RESETS)
def test_streams_that_are_opened_to_be_reset(world: World, each: Callable[[int], bytes]) -> None:
    before = world.served.counter("floods_total")
    with world.undisturbed(), Wire.client(world.address) as wire:
        assert flood(wire, streams(each)) == ENHANCE_YOUR_CALM
    assert world.served.counter("floods_total") == before + 1


OPEN = headers(1, CALL, end=False)
GLITCHES: dict[str, Iterator[bytes]] = {
    "PING (CVE-2019-9512)": again(ping()),
    "SETTINGS (CVE-2019-9515)": again(settings()),
    "SETTINGS that move all windows": again(
        settings((INITIAL_WINDOW_SIZE, 0)) + settings((INITIAL_WINDOW_SIZE, 1 << 20)),
        b"".join(headers(stream, CALL, end=False) for stream in range(1, 199, 2)),
    ),
    "SETTINGS full of values": again(settings(*[(INITIAL_WINDOW_SIZE, 1 << 20)] * 200)),
    "table sizes": again(settings((1, 0)) + settings((1, 4096))),
    "PRIORITY (CVE-2019-9513)": again(priority(1, 0)),
    "PRIORITY of idle streams": (priority(stream, 0) for stream in range(1, 2 * ENOUGH, 2)),
    "empty DATA (CVE-2019-9518)": again(data(1), OPEN),
    "DATA of padding": again(data(1, padding=255), OPEN),
    "DATA of single bytes": again(data(1, b"\0"), OPEN + data(1, b"\0\x7f\xff\xff\xff")),
    "DATA on a stream that was reset": again(data(1, b"x"), OPEN + window_update(1, 0)),
    "empty CONTINUATIONs (CVE-2024-27316)": again(continuation(1, b"", last=False), headers(1, CALL, flags=0)),
    "CONTINUATIONs": again(continuation(1, literal(b"x", b"y" * 100), last=False), headers(1, CALL, flags=0)),
    "large CONTINUATIONs": again(continuation(1, literal(b"x", b"y" * 16_000), last=False), headers(1, CALL, flags=0)),
    "unknown frames": again(frame(UNKNOWN, 0, 0, b"x")),
    "unknown frames on a stream": again(frame(UNKNOWN, 0, 1), OPEN),
    "GOAWAY": again(goaway()),
    "WINDOW_UPDATE": again(window_update(0, 1)),
    "WINDOW_UPDATE of a stream": again(window_update(1, 1), OPEN),
    "WINDOW_UPDATE of a stream that is over": again(window_update(1, 1), OPEN + reset(1)),
    "RST_STREAM of a stream that is over": again(reset(1), OPEN + reset(1)),
    "answers to no PING": again(ping(flags=1)),
    "acknowledgements of no SETTINGS": again(settings(flags=1)),
}


@pytest.mark.parametrize("parts", GLITCHES.values(), ids=GLITCHES)
def test_frames_that_move_nothing(world: World, parts: Iterator[bytes]) -> None:
    before = world.served.counter("floods_total")
    with world.undisturbed(), Wire.client(world.address) as wire:
        assert flood(wire, parts) == ENHANCE_YOUR_CALM
    assert world.served.counter("floods_total") == before + 1


def test_a_window_that_opens_byte_by_byte(world: World) -> None:
    """CVE-2019-9511, CVE-2019-9517: a large answer that has to be sent in the smallest of frames."""
    message = bytes(60_000)
    before = world.served.counter("floods_total")
    with world.undisturbed(), Wire.client(world.address, (INITIAL_WINDOW_SIZE, 0)) as wire:
        body = struct.pack(">BI", 0, len(message)) + message
        wire.send(headers(1, CALL, end=False), *(data(1, body[at : at + 16_000]) for at in range(0, len(body), 16_000)))
        wire.until_kind(1, 1)
        assert flood(wire, again(window_update(1, 1))) == ENHANCE_YOUR_CALM
    assert world.served.counter("floods_total") == before + 1


def test_answers_that_nobody_reads_cost_a_bounded_backlog(world: World) -> None:
    """The offender never reads: we stop reading from it, or end it, but keep nothing beyond a bound."""
    with world.undisturbed(), Wire.client(world.address) as wire:
        wire.socket.settimeout(1.0)
        chunk = headers(1, block(request(path="/"))) + ping() * 1000
        try:
            for number in range(200):
                wire.send(chunk.replace(b"\0\0\0\x01", struct.pack(">I", 2 * number + 1), 1))
        except TimeoutError:
            pass


def test_what_honest_clients_do_now_and_then_passes(world: World) -> None:
    """A few hundred cancels, PINGs and SETTINGS on one connection are no attack."""
    with Wire.client(world.address) as wire:
        for number in range(300):
            stream = 2 * number + 1
            wire.send(
                headers(stream, CALL, end=False), data(stream), reset(stream), ping(), settings(), priority(stream, 0)
            )
        assert wire.is_alive()
