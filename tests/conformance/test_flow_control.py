"""Windows of every size in both directions: RFC 9113, sections 5.2 and 6.9."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from tests.support.frames import (
    DATA,
    GET,
    HEADERS,
    INITIAL_WINDOW,
    INITIAL_WINDOW_SIZE,
    LARGEST_FRAME,
    WINDOW_UPDATE,
    block,
    data,
    headers,
    request,
    reset,
    settings,
    window_update,
)
from tests.support.wire import Tolerated, Wire

if TYPE_CHECKING:
    from tests.conformance.conftest import Gateway

NEVER = block(request(method="POST", path="/never"))


def get(size: int) -> bytes:
    return block(request(path=f"/bytes/{size}"))


def sizes(wire: Wire, stream: int) -> list[int]:
    """The lengths of the DATA frames that have come on a stream."""
    return [len(one.payload) for one in wire.frames if one.kind == DATA and one.stream == stream]


def take(wire: Wire, stream: int, length: int) -> None:
    """Reads DATA of a stream until it is at least so much in all."""
    while sum(sizes(wire, stream)) < length:
        wire.until_kind(DATA, stream)


def test_a_window_of_one_byte_lets_one_byte_through(gateway: Gateway) -> None:
    with Wire.client(gateway.address, (INITIAL_WINDOW_SIZE, 1)) as wire:
        wire.send(headers(1, GET))
        take(wire, 1, 1)
        assert wire.outcome() == Tolerated()
        assert sizes(wire, 1) == [1]
        wire.send(window_update(1, 2))
        take(wire, 1, 3)
        assert sizes(wire, 1) == [1, 2]
        wire.send(window_update(1, 100))
        assert wire.until_kind(DATA, 1).ends_stream


def test_a_window_of_nothing_lets_header_fields_through(gateway: Gateway) -> None:
    with Wire.client(gateway.address, (INITIAL_WINDOW_SIZE, 0)) as wire:
        wire.send(headers(1, GET))
        wire.until_kind(HEADERS, 1)
        assert wire.outcome() == Tolerated()
        assert sizes(wire, 1) == []
        wire.send(settings((INITIAL_WINDOW_SIZE, 3)))
        take(wire, 1, 3)
        wire.send(window_update(1, 5))
        assert wire.until_kind(DATA, 1).ends_stream


def test_a_window_that_turns_negative_is_waited_out(gateway: Gateway) -> None:
    """RFC 9113, section 6.9.2: 5 bytes sent of a window of 5, which becomes 2 - 5 = -3."""
    with Wire.client(gateway.address, (INITIAL_WINDOW_SIZE, 5)) as wire:
        wire.send(headers(1, get(20)))
        take(wire, 1, 5)
        wire.send(settings((INITIAL_WINDOW_SIZE, 2)), window_update(1, 3))
        assert wire.outcome() == Tolerated()
        assert sum(sizes(wire, 1)) == 5
        wire.send(window_update(1, 1))
        take(wire, 1, 6)
        assert wire.outcome() == Tolerated()
        assert sum(sizes(wire, 1)) == 6
        wire.send(window_update(1, 14))
        assert wire.until_kind(DATA, 1).ends_stream


def test_several_values_in_one_settings_frame_count_in_order(gateway: Gateway) -> None:
    with Wire.client(gateway.address) as wire:
        wire.send(settings((INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)), headers(1, GET))
        take(wire, 1, 1)
        assert wire.outcome() == Tolerated()
        assert sizes(wire, 1) == [1]


def test_the_connections_window_holds_all_streams_together(gateway: Gateway) -> None:
    with Wire.client(gateway.address, (INITIAL_WINDOW_SIZE, 1 << 20)) as wire:
        wire.send(headers(1, get(60_000)))
        take(wire, 1, 60_000)
        wire.send(headers(3, get(10_000)))
        left = INITIAL_WINDOW - 60_000
        take(wire, 3, left)
        assert wire.outcome() == Tolerated()
        assert sum(sizes(wire, 3)) == left
        wire.send(headers(5, GET))
        wire.until_kind(HEADERS, 5)
        wire.send(window_update(0, 10_000))
        take(wire, 3, 10_000)
        take(wire, 5, 8)


def test_frames_stay_within_the_size_that_every_peer_takes(gateway: Gateway) -> None:
    with Wire.client(gateway.address, (INITIAL_WINDOW_SIZE, 1 << 20), (5, 1 << 20)) as wire:
        wire.send(window_update(0, 1 << 20), headers(1, get(500_000)))
        assert len(wire.answer(1).body) == 500_000
        assert max(sizes(wire, 1)) <= LARGEST_FRAME


@pytest.mark.parametrize("window", [1, 7, 64, 1000])
def test_a_response_comes_whole_through_a_tiny_window(gateway: Gateway, window: int) -> None:
    size = window * 40 + 3
    with Wire.client(gateway.address, (INITIAL_WINDOW_SIZE, window)) as wire:
        wire.send(headers(1, get(size)))
        while not (part := wire.until_kind(DATA, 1)).ends_stream:
            wire.send(window_update(1, len(part.payload)))
        assert sum(sizes(wire, 1)) == size
        assert max(sizes(wire, 1)) <= window


def test_a_stream_without_a_window_holds_up_no_other(gateway: Gateway) -> None:
    with Wire.client(gateway.address, (INITIAL_WINDOW_SIZE, 0)) as wire:
        wire.send(*(headers(stream, get(50_000)) for stream in range(1, 41, 2)))
        wire.send(headers(101, GET), window_update(101, 100))
        assert wire.answer(101).body == b"recorded"


def test_an_update_before_the_response_counts(gateway: Gateway) -> None:
    with Wire.client(gateway.address, (INITIAL_WINDOW_SIZE, 0)) as wire:
        wire.send(headers(1, get(1000)), window_update(1, 1000))
        assert len(wire.answer(1).body) == 1000


def test_padding_counts_against_the_windows_and_comes_back(gateway: Gateway) -> None:
    """Thirty-two times the window in frames that are nearly all padding."""
    with Wire.client(gateway.address) as wire:
        offered = dict(struct.iter_unpack(">HI", wire.frames[0].payload))[INITIAL_WINDOW_SIZE]
        fields = block(request(method="POST", path="/padded"))
        wire.send(headers(1, fields, end=False))
        sent = 0
        room = offered
        while sent < 4 * offered:
            while room < 512:
                update = wire.until_kind(WINDOW_UPDATE)
                room += update.number if update.stream == 1 else 0
            wire.send(data(1, b"x" * 200, padding=255))
            sent += 456
            room -= 456
        wire.send(data(1, end=True))
        assert wire.answer(1).status == 200


def test_a_large_upload_arrives_whole(gateway: Gateway) -> None:
    size = 3 << 20
    with Wire.client(gateway.address) as wire:
        room = {0: INITIAL_WINDOW, 1: dict(struct.iter_unpack(">HI", wire.frames[0].payload))[INITIAL_WINDOW_SIZE]}
        for one in wire.frames:
            if one.kind == WINDOW_UPDATE:
                room[one.stream] += one.number
        wire.send(headers(1, block(request(method="POST", path="/upload")), end=False))
        left = size
        while left:
            length = min(left, LARGEST_FRAME, *room.values())
            while length == 0:
                update = wire.until_kind(WINDOW_UPDATE)
                room[update.stream] += update.number
                length = min(left, LARGEST_FRAME, *room.values())
            left -= length
            wire.send(data(1, bytes(length), end=not left))
            room[0], room[1] = room[0] - length, room[1] - length
        assert wire.answer(1).status == 200
    [arrived] = [request for request in gateway.backend.requests if request.path == "/upload"]
    assert len(arrived.body) == size


def test_a_reset_stream_leaves_the_connections_window_whole(gateway: Gateway) -> None:
    """What was under way for a stream that the client reset is credited, time and again."""
    with Wire.client(gateway.address) as wire:
        for number in range(60):
            stream = 2 * number + 1
            wire.send(headers(stream, NEVER, end=False), *(data(stream, bytes(LARGEST_FRAME)) for _ in range(15)))
            wire.send(reset(stream))
        assert wire.outcome() == Tolerated()
        wire.send(headers(1001, GET))
        assert wire.answer(1001).status == 200
