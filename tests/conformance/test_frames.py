"""Frames by themselves and in the wrong place: RFC 9113, sections 3 to 6."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from tests.conformance.cases import HALF_CLOSED, NEVER, OPEN, Case, table
from tests.support.frames import (
    ACK,
    CONTINUATION,
    DATA,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GET,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    LARGEST_FRAME,
    LARGEST_WINDOW,
    MAX_FRAME_SIZE,
    NO_ERROR,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    PRIORITY_FLAG,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    UNKNOWN,
    WINDOW_UPDATE,
    block,
    continuation,
    data,
    frame,
    goaway,
    headers,
    ping,
    priority,
    request,
    reset,
    settings,
    window_update,
)
from tests.support.wire import ConnectionEnded, StreamReset, Tolerated, Wire, connect

if TYPE_CHECKING:
    from tests.conformance.conftest import Gateway

LONG = block(request(*((f"x-field-{number}", "v" * 900) for number in range(30))))
"""A header block that takes two frames."""


@pytest.mark.parametrize(
    "sent",
    [
        PREFACE[:16] + b"XX" + PREFACE[18:] + settings(),
        PREFACE + ping(),
        PREFACE + headers(1, GET),
        PREFACE + settings(flags=ACK),
        PREFACE + settings(stream=1),
    ],
    ids=["broken preface", "PING first", "HEADERS first", "ACK first", "SETTINGS on a stream"],
)
def test_what_is_no_preface_ends_the_connection(gateway: Gateway, sent: bytes) -> None:
    with Wire(connect(gateway.address)) as wire:
        wire.send(sent)
        if sent.startswith(PREFACE):
            assert wire.outcome() == ConnectionEnded(PROTOCOL_ERROR)
        else:
            while wire.socket.recv(1 << 16):
                pass


def test_a_preface_may_come_byte_by_byte(gateway: Gateway) -> None:
    with Wire(connect(gateway.address)) as wire:
        for byte in PREFACE + settings():
            wire.send(bytes([byte]))
        assert wire.until_kind(SETTINGS).flags == 0
        assert wire.outcome() == Tolerated()


def test_our_first_frame_is_settings_and_theirs_is_acknowledged(gateway: Gateway) -> None:
    with Wire.client(gateway.address, (INITIAL_WINDOW_SIZE, 100)) as wire:
        assert wire.frames[0].kind == SETTINGS
        assert not wire.frames[0].flags & ACK
        assert sum(one.kind == SETTINGS and bool(one.flags & ACK) for one in wire.frames) == 1


@table(
    Case("4.1", "a frame of an unknown kind", frame(UNKNOWN, 0xFF, 0, b"12345678"), Tolerated()),
    Case("4.1", "an unknown kind on a stream", OPEN + frame(UNKNOWN, 0, 1, b"1"), Tolerated()),
    Case("4.1", "flags without a meaning", frame(PING, 0x16, 0, b"12345678"), Tolerated()),
    Case("4.1", "the reserved bit of the stream", frame(PING, 0, 0x8000_0000, b"12345678"), Tolerated()),
    Case("4.2", "DATA of the largest size", OPEN + data(1, bytes(LARGEST_FRAME)), Tolerated()),
    Case(
        "4.2",
        "HEADERS of the largest size",
        headers(1, NEVER, end=False)
        + headers(3, LONG[:LARGEST_FRAME], flags=0)
        + continuation(3, LONG[LARGEST_FRAME:]),
        Tolerated(),
    ),
    Case(
        "4.2", "DATA over the largest size", OPEN + data(1, bytes(LARGEST_FRAME + 1)), ConnectionEnded(FRAME_SIZE_ERROR)
    ),
    Case("4.2", "HEADERS over the largest size", headers(1, LONG), ConnectionEnded(FRAME_SIZE_ERROR)),
    Case(
        "4.2",
        "an unknown kind over the largest size",
        frame(UNKNOWN, 0, 0, bytes(LARGEST_FRAME + 1)),
        ConnectionEnded(FRAME_SIZE_ERROR),
    ),
    Case(
        "4.3",
        "PRIORITY within a header block",
        headers(1, GET, flags=0) + priority(1, 0),
        ConnectionEnded(PROTOCOL_ERROR),
    ),
    Case(
        "4.3",
        "an unknown kind within a header block",
        headers(1, GET, flags=0) + frame(UNKNOWN, 0, 1),
        ConnectionEnded(PROTOCOL_ERROR),
    ),
    Case(
        "4.3",
        "another stream's HEADERS within a block",
        headers(1, GET, flags=0) + headers(3, GET),
        ConnectionEnded(PROTOCOL_ERROR),
    ),
)
def test_framing(gateway: Gateway, case: Case) -> None:
    case.check(gateway.address)


@table(
    Case("5.1", "idle: DATA", data(1, b"x"), ConnectionEnded(PROTOCOL_ERROR)),
    Case("5.1", "idle: RST_STREAM", reset(1), ConnectionEnded(PROTOCOL_ERROR)),
    Case("5.1", "idle: WINDOW_UPDATE", window_update(1, 100), ConnectionEnded(PROTOCOL_ERROR)),
    Case("5.1", "idle: CONTINUATION", continuation(1, GET), ConnectionEnded(PROTOCOL_ERROR)),
    Case("5.1", "idle: PRIORITY", priority(9, 0), Tolerated()),
    Case("5.1", "idle: DATA on a later stream", OPEN + data(3, b"x"), ConnectionEnded(PROTOCOL_ERROR)),
    Case("5.1", "half-closed: DATA", HALF_CLOSED + data(1, b"x"), StreamReset(STREAM_CLOSED)),
    Case("5.1", "half-closed: HEADERS", HALF_CLOSED + headers(1, NEVER), StreamReset(STREAM_CLOSED)),
    Case("5.1", "half-closed: CONTINUATION", HALF_CLOSED + continuation(1, NEVER), ConnectionEnded(PROTOCOL_ERROR)),
    Case("5.1", "half-closed: WINDOW_UPDATE", HALF_CLOSED + window_update(1, 1), Tolerated()),
    Case("5.1", "half-closed: PRIORITY", HALF_CLOSED + priority(1, 0), Tolerated()),
    Case("5.1", "half-closed: RST_STREAM", HALF_CLOSED + reset(1), Tolerated()),
    Case("5.1", "reset: DATA", OPEN + reset(1) + data(1, b"x"), StreamReset(STREAM_CLOSED)),
    Case("5.1", "reset: HEADERS", OPEN + reset(1) + headers(1, NEVER), StreamReset(STREAM_CLOSED)),
    Case("5.1", "reset: CONTINUATION", OPEN + reset(1) + continuation(1, b""), ConnectionEnded(PROTOCOL_ERROR)),
    Case("5.1", "reset: WINDOW_UPDATE", OPEN + reset(1) + window_update(1, 1), Tolerated()),
    Case("5.1", "reset: RST_STREAM", OPEN + reset(1) + reset(1), Tolerated()),
    Case("5.1", "reset: PRIORITY", OPEN + reset(1) + priority(1, 0), Tolerated()),
    Case("5.1", "complete: DATA", data(1, b"x"), ConnectionEnded(STREAM_CLOSED), completed=True),
    Case("5.1", "complete: HEADERS", headers(1, GET), ConnectionEnded(STREAM_CLOSED), completed=True),
    Case("5.1", "complete: CONTINUATION", continuation(1, b""), ConnectionEnded(PROTOCOL_ERROR), completed=True),
    Case("5.1", "complete: WINDOW_UPDATE", window_update(1, 1), Tolerated(), completed=True),
    Case("5.1", "complete: RST_STREAM", reset(1), Tolerated(), completed=True),
    Case("5.1", "complete: PRIORITY", priority(1, 0), Tolerated(), completed=True),
    Case("5.1.1", "an even identifier", headers(2, GET), ConnectionEnded(PROTOCOL_ERROR)),
    Case("5.1.1", "a smaller identifier", headers(5, NEVER) + headers(3, NEVER), ConnectionEnded(PROTOCOL_ERROR)),
    Case("5.1.1", "the largest identifier", headers(LARGEST_WINDOW, NEVER), Tolerated(), LARGEST_WINDOW),
    Case(
        "5.3.1",
        "HEADERS that depend on themselves",
        headers(1, struct.pack(">IB", 1, 15) + GET, flags=END_HEADERS | PRIORITY_FLAG),
        ConnectionEnded(PROTOCOL_ERROR),
    ),
    Case("5.3.1", "PRIORITY on itself", OPEN + priority(1, 1), StreamReset(PROTOCOL_ERROR)),
    Case("5.3.1", "PRIORITY of an idle stream on itself", priority(1, 1), ConnectionEnded(PROTOCOL_ERROR)),
    Case(
        "5.3",
        "an exclusive dependency",
        headers(1, struct.pack(">IB", 0x8000_0000, 255) + NEVER, flags=END_HEADERS | PRIORITY_FLAG),
        Tolerated(),
    ),
)
def test_streams(gateway: Gateway, case: Case) -> None:
    case.check(gateway.address)


@table(
    Case("6.1", "DATA on stream 0", data(0, b"x"), ConnectionEnded(PROTOCOL_ERROR)),
    Case("6.1", "DATA on stream 0 beside an open one", OPEN + data(0, b"x"), ConnectionEnded(PROTOCOL_ERROR)),
    Case(
        "6.1",
        "padding as long as the payload",
        OPEN + frame(DATA, PADDED, 1, b"\x05abcd"),
        ConnectionEnded(PROTOCOL_ERROR),
    ),
    Case("6.1", "padded, and no room for the length", OPEN + frame(DATA, PADDED, 1), ConnectionEnded(PROTOCOL_ERROR)),
    Case("6.1", "nothing but padding", OPEN + data(1, padding=255), Tolerated()),
    Case("6.1", "content and padding", OPEN + data(1, b"x", padding=0), Tolerated()),
    Case("6.2", "HEADERS on stream 0", headers(0, GET), ConnectionEnded(PROTOCOL_ERROR)),
    Case(
        "6.2",
        "padding longer than the block",
        headers(1, b"\xff" + GET, flags=END_HEADERS | PADDED),
        ConnectionEnded(PROTOCOL_ERROR),
    ),
    Case(
        "6.2", "a block with padding", headers(1, b"\x03" + NEVER + bytes(3), flags=END_HEADERS | PADDED), Tolerated()
    ),
    Case(
        "6.2",
        "a priority cut short",
        headers(1, b"\0\0", flags=END_HEADERS | PRIORITY_FLAG),
        ConnectionEnded(FRAME_SIZE_ERROR),
    ),
    Case("6.3", "PRIORITY on stream 0", priority(0, 1), ConnectionEnded(PROTOCOL_ERROR)),
    Case("6.3", "PRIORITY of 4 bytes", OPEN + frame(PRIORITY, 0, 1, bytes(4)), StreamReset(FRAME_SIZE_ERROR)),
    Case("6.4", "RST_STREAM on stream 0", reset(0), ConnectionEnded(PROTOCOL_ERROR)),
    Case("6.4", "RST_STREAM of 3 bytes", OPEN + frame(RST_STREAM, 0, 1, bytes(3)), ConnectionEnded(FRAME_SIZE_ERROR)),
    Case("6.4", "RST_STREAM with an unknown code", OPEN + reset(1, 0xFFFF_FFFF), Tolerated()),
    Case("6.5", "SETTINGS on a stream", settings(stream=1), ConnectionEnded(PROTOCOL_ERROR)),
    Case("6.5", "SETTINGS cut short", frame(SETTINGS, 0, 0, bytes(3)), ConnectionEnded(FRAME_SIZE_ERROR)),
    Case(
        "6.5", "an acknowledgement with content", frame(SETTINGS, ACK, 0, bytes(6)), ConnectionEnded(FRAME_SIZE_ERROR)
    ),
    Case("6.5.2", "ENABLE_PUSH of 2", settings((ENABLE_PUSH, 2)), ConnectionEnded(PROTOCOL_ERROR)),
    Case("6.5.2", "ENABLE_PUSH of 1", settings((ENABLE_PUSH, 1)), Tolerated()),
    Case(
        "6.5.2",
        "INITIAL_WINDOW_SIZE over 2^31-1",
        settings((INITIAL_WINDOW_SIZE, 2**31)),
        ConnectionEnded(FLOW_CONTROL_ERROR),
    ),
    Case(
        "6.5.2",
        "MAX_FRAME_SIZE under 2^14",
        settings((MAX_FRAME_SIZE, LARGEST_FRAME - 1)),
        ConnectionEnded(PROTOCOL_ERROR),
    ),
    Case("6.5.2", "MAX_FRAME_SIZE over 2^24-1", settings((MAX_FRAME_SIZE, 2**24)), ConnectionEnded(PROTOCOL_ERROR)),
    Case("6.5.2", "MAX_FRAME_SIZE of 2^24-1", settings((MAX_FRAME_SIZE, 2**24 - 1)), Tolerated()),
    Case("6.5.2", "an unknown setting", settings((0xFFFF, 7), (0, 0)), Tolerated()),
    Case(
        "6.6",
        "PUSH_PROMISE",
        OPEN + frame(PUSH_PROMISE, END_HEADERS, 1, struct.pack(">I", 2) + GET),
        ConnectionEnded(PROTOCOL_ERROR),
    ),
    Case("6.7", "PING on a stream", ping(stream=1), ConnectionEnded(PROTOCOL_ERROR)),
    Case("6.7", "PING of 6 bytes", ping(bytes(6)), ConnectionEnded(FRAME_SIZE_ERROR)),
    Case("6.7", "an answer that nobody asked for", ping(flags=ACK), Tolerated()),
    Case("6.8", "GOAWAY on a stream", frame(GOAWAY, 0, 1, bytes(8)), ConnectionEnded(PROTOCOL_ERROR)),
    Case("6.8", "GOAWAY cut short", frame(GOAWAY, 0, 0, bytes(7)), ConnectionEnded(FRAME_SIZE_ERROR)),
    Case("6.8", "GOAWAY with debug data", goaway(0, NO_ERROR, b"so long"), Tolerated()),
    Case("6.9", "WINDOW_UPDATE of 0", window_update(0, 0), ConnectionEnded(PROTOCOL_ERROR)),
    Case("6.9", "WINDOW_UPDATE of 0 on a stream", OPEN + window_update(1, 0), StreamReset(PROTOCOL_ERROR)),
    Case("6.9", "WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, bytes(3)), ConnectionEnded(FRAME_SIZE_ERROR)),
    Case("6.9", "the reserved bit of the increment", window_update(0, 0x8000_0001), Tolerated()),
    Case(
        "6.9.1",
        "a connection's window over 2^31-1",
        window_update(0, LARGEST_WINDOW) * 2,
        ConnectionEnded(FLOW_CONTROL_ERROR),
    ),
    Case(
        "6.9.1",
        "a stream's window over 2^31-1",
        OPEN + window_update(1, LARGEST_WINDOW) * 2,
        StreamReset(FLOW_CONTROL_ERROR),
    ),
    Case(
        "6.9.2",
        "SETTINGS that push a stream's window over 2^31-1",
        OPEN + window_update(1, LARGEST_WINDOW - 65_535) + settings((INITIAL_WINDOW_SIZE, 65_536)),
        ConnectionEnded(FLOW_CONTROL_ERROR),
    ),
    Case("6.10", "CONTINUATION without HEADERS", OPEN + continuation(1, GET), ConnectionEnded(PROTOCOL_ERROR)),
    Case(
        "6.10",
        "CONTINUATION on stream 0",
        headers(1, GET, flags=0) + continuation(0, b""),
        ConnectionEnded(PROTOCOL_ERROR),
    ),
    Case(
        "6.10",
        "CONTINUATION of another stream",
        headers(1, GET, flags=0) + continuation(3, b""),
        ConnectionEnded(PROTOCOL_ERROR),
    ),
    Case(
        "6.10",
        "CONTINUATION after END_HEADERS",
        headers(1, NEVER) + continuation(1, GET),
        ConnectionEnded(PROTOCOL_ERROR),
    ),
    Case(
        "6.10",
        "DATA within a header block",
        headers(1, POST, end=False, flags=0) + data(1, b"x"),
        ConnectionEnded(PROTOCOL_ERROR),
    ),
    Case(
        "6.10",
        "SETTINGS between two CONTINUATIONs",
        headers(1, GET[:5], flags=0) + continuation(1, GET[5:9], last=False) + settings(),
        ConnectionEnded(PROTOCOL_ERROR),
    ),
)
def test_frames(gateway: Gateway, case: Case) -> None:
    case.check(gateway.address)


@pytest.mark.parametrize("parts", [2, 5, 12])
def test_a_block_over_several_frames_is_one_request(gateway: Gateway, parts: int) -> None:
    size = -(-len(GET) // parts)
    pieces = [GET[at : at + size] for at in range(0, len(GET), size)]
    with Wire.client(gateway.address) as wire:
        wire.send(frame(HEADERS, END_STREAM, 1, pieces[0]))
        for at, piece in enumerate(pieces[1:], 2):
            wire.send(frame(CONTINUATION, END_HEADERS if at == len(pieces) else 0, 1, piece))
        assert wire.answer(1).status == 200


def test_a_ping_is_answered_with_what_it_held(gateway: Gateway) -> None:
    with Wire.client(gateway.address) as wire:
        wire.send(ping(b"\x00\xff binary"[:8]))
        answer = wire.until_kind(PING)
        assert (answer.flags, answer.stream, answer.payload) == (ACK, 0, b"\x00\xff binary"[:8])


def test_a_client_that_goes_away_still_gets_its_answers(gateway: Gateway) -> None:
    with Wire.client(gateway.address) as wire:
        wire.send(headers(1, GET), goaway())
        assert wire.answer(1).status == 200


def test_streams_over_the_limit_are_refused_and_cost_the_others_nothing(gateway: Gateway) -> None:
    with Wire.client(gateway.address) as wire:
        payload = wire.frames[0].payload
        limit = dict(struct.iter_unpack(">HI", payload))[3]
        for number in range(limit):
            wire.send(headers(2 * number + 1, NEVER))
        over = 2 * limit + 1
        assert wire.outcome(over - 2) == Tolerated()
        wire.send(headers(over, GET))
        assert isinstance(wire.outcome(over), StreamReset)
        wire.send(reset(1), headers(over + 2, GET))
        assert wire.answer(over + 2).status == 200


def test_the_settings_that_we_announce_are_those_that_we_hold_to(gateway: Gateway) -> None:
    with Wire.client(gateway.address) as wire:
        announced = dict(struct.iter_unpack(">HI", wire.frames[0].payload))
        assert announced[INITIAL_WINDOW_SIZE] >= 65_535
        assert announced[3] >= 100
        assert MAX_FRAME_SIZE not in announced
