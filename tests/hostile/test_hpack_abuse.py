"""Header blocks that are small on the wire and large in memory, or that are meant for somebody else's decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import pytest

from tests.support.frames import (
    COMPRESSION_ERROR,
    ENHANCE_YOUR_CALM,
    GET,
    LARGEST_FRAME,
    block,
    continuation,
    headers,
    indexed,
    integer,
    literal,
    request,
    table_size,
)
from tests.support.wire import Answer, ConnectionEnded, Wire, connect

if TYPE_CHECKING:
    from tests.hostile.conftest import World

CALL = request(("content-type", "application/grpc"), ("te", "trailers"), method="POST", path="/test.Kinds/Unary")
EMPTY_CALL = block(CALL)


def send_block(wire: Wire, stream: int, coded: bytes) -> None:
    """A header block of any length in as many frames as it takes."""
    pieces = [coded[at : at + LARGEST_FRAME] for at in range(0, len(coded), LARGEST_FRAME)]
    wire.send(headers(stream, pieces[0], flags=4 if len(pieces) == 1 else 0))
    wire.send(*(continuation(stream, piece, last=at == len(pieces)) for at, piece in enumerate(pieces[1:], 2)))


def ask(wire: Wire, stream: int, coded: bytes) -> Answer:
    send_block(wire, stream, coded)
    return wire.answer(stream)


TOO_MUCH = {
    "too many fields": [(f"x-{number}", "v") for number in range(1000)],
    "too many empty fields": [("x", "")] * 1000,
    "one large field": [("x-large", "v" * 66_000)],
    "many that are large together": [(f"x-{number}", "v" * 1000) for number in range(70)],
    "much more than the limit": [(f"x-{number}", "v" * 1000) for number in range(110)],
}


@pytest.mark.parametrize("fields", TOO_MUCH.values(), ids=TOO_MUCH)
def test_header_fields_over_the_limit_are_answered_431(world: World, fields: list[tuple[str, str]]) -> None:
    """RFC 6585, section 5; the connection goes on, for an honest client may have met a limit that it did not know."""
    with world.undisturbed(), Wire.client(world.address) as wire:
        answer = ask(wire, 1, block([*request(), *fields]))
        assert answer.status == 431
        assert b'"code":431' in answer.body.replace(b" ", b"")
        assert ask(wire, 3, block([*CALL, *fields])).headers["grpc-status"] == "8"
        assert ask(wire, 5, EMPTY_CALL).status > 0


@pytest.mark.parametrize("fields", TOO_MUCH.values(), ids=TOO_MUCH)
def test_over_http1_too(world: World, fields: list[tuple[str, str]]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    with world.undisturbed(), connect(world.address) as client:
        client.sendall(f"GET / HTTP/1.1\r\nhost: a\r\n{lines}\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
        assert answer.startswith(b"HTTP/1.1 431 ")


def test_a_request_line_over_the_limit_is_answered_414(world: World) -> None:
    with world.undisturbed(), connect(world.address) as client:
        client.sendall(b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
        assert answer.startswith(b"HTTP/1.1 414 ")


def test_an_index_bomb_costs_no_memory(world: World) -> None:
    """A field of 4,000 bytes in the table, and blocks that name it 16,000 times: 64 MB for 16 KiB."""
    before = world.served.counter("floods_total")
    with world.undisturbed(), Wire.client(world.address) as wire:
        ask(wire, 1, block(request()) + literal(b"x-bomb", b"v" * 4000, 0x40))
        assert ask(wire, 3, block(request()) + indexed(62) * 16_000).status == 431
        for number in range(2, 20_000):
            wire.send(headers(2 * number + 1, GET + indexed(62) * 16_000))
            if number % 16 == 0 and wire.has_hung_up():
                break
        assert wire.last_words() == ENHANCE_YOUR_CALM
    assert world.served.counter("floods_total") == before + 1


def test_a_table_that_is_turned_over_and_over_costs_no_memory(world: World) -> None:
    with world.undisturbed(), Wire.client(world.address) as wire:
        for number in range(150):
            churn = b"".join(literal(b"x%d" % (number * 1000 + field), b"v" * 40, 0x40) for field in range(60))
            assert ask(wire, 4 * number + 1, EMPTY_CALL + churn).status > 0
            assert ask(wire, 4 * number + 3, (table_size(0) + table_size(4096)) * 100 + EMPTY_CALL).status > 0


BROKEN = {
    "an index behind the table": GET + indexed(1000),
    "an index that never ends": GET + b"\xff" * 10_000,
    "a length that never ends": GET + b"\0\x7f" + b"\xff" * 10_000,
    "a length of 2^40": GET + b"\0" + integer(1 << 40, 7),
    "a table of 2^31": table_size(1 << 31) + GET,
    "a bomb in Huffman code": GET + b"\0\x01x" + integer(8000, 7, 0x80) + b"\xff" * 8000,
}


@pytest.mark.parametrize("coded", BROKEN.values(), ids=BROKEN)
def test_a_block_that_cannot_be_decoded_ends_its_connection(world: World, coded: bytes) -> None:
    before = world.served.counter("protocol_errors_total")
    with world.undisturbed(), Wire.client(world.address) as wire:
        wire.send(headers(1, coded))
        assert wire.outcome(1) == ConnectionEnded(COMPRESSION_ERROR)
    assert world.served.counter("protocol_errors_total") == before + 1


@pytest.mark.parametrize("first", [0x00, 0x10, 0x40], ids=["without indexing", "never indexed", "indexed"])
@pytest.mark.parametrize(
    "huffman", [b"\xff\xff\xff\xff", b"\x1f\xff" * 20, b"\x18", b"\xff" * 40], ids=["EOS", "padding", "zeroes", "ones"]
)
@pytest.mark.parametrize("name", [23, 49], ids=["authorization", "proxy-authorization"])
def test_a_coded_credential_that_cannot_be_decoded_harms_only_its_sender(
    world: World, name: int, huffman: bytes, first: int
) -> None:
    """Passed on as it came it would break the decoder of the backend, and with it everybody's connection."""
    coded = integer(name, 6 if first == 0x40 else 4, first) + integer(len(huffman), 7, 0x80) + huffman
    with grpc.insecure_channel(world.address) as channel:
        stream: Any = channel.stream_stream("/test.Kinds/Bidi")
        held = iter([b"one"])
        answers = stream(held, timeout=60)
        assert next(answers) == b"one"
        with Wire.client(world.address) as wire:
            wire.send(headers(1, block(CALL) + coded))
            assert wire.outcome(1) == ConnectionEnded(COMPRESSION_ERROR)
        unary: Any = channel.unary_unary("/test.Kinds/Unary")
        assert unary(b"x", timeout=60) == b"x"
