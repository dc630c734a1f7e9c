"""Header compression in both directions: RFC 7541."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conformance.cases import Case, table
from tests.support.frames import (
    COMPRESSION_ERROR,
    GET,
    HEADER_TABLE_SIZE,
    PROTOCOL_ERROR,
    block,
    headers,
    indexed,
    integer,
    literal,
    request,
    reset,
    settings,
    string,
    table_size,
)
from tests.support.wire import ConnectionEnded, StreamReset, Tolerated, Wire

if TYPE_CHECKING:
    from tests.conformance.conftest import Gateway

BROKEN = ConnectionEnded(COMPRESSION_ERROR)
NEVER = block(request(path="/never"))
AUTHORIZATION = 23
"""Its index in the static table. Credentials may take another way through a decoder than other fields."""

WRONG_CODES = {
    "an end of the string": b"\xff\xff\xff\xff",
    "padding of a whole byte": b"\x1f\xff",
    "padding with zeroes": b"\x18",
    "a code cut short": b"\xff\xff\xfe",
}


def coded(name: int | bytes, huffman: bytes, first: int = 0x00) -> bytes:
    """A field whose value is Huffman-coded by hand."""
    start = integer(name, 6 if first == 0x40 else 4, first) if isinstance(name, int) else bytes([first]) + string(name)
    return start + integer(len(huffman), 7, 0x80) + huffman


@table(
    Case("2.3.3", "index 0", headers(1, GET + b"\x80"), BROKEN),
    Case("2.3.3", "an index behind the tables", headers(1, GET + indexed(62)), BROKEN),
    Case("2.3.3", "a name's index behind the tables", headers(1, GET + literal(70, b"v")), BROKEN),
    Case("2.3.3", "a name's index behind the tables, to be indexed", headers(1, GET + literal(62, b"v", 0x40)), BROKEN),
    Case("4.2", "a size update at the end", headers(1, GET + table_size(0)), BROKEN),
    Case("4.2", "a size update in the middle", headers(1, GET[:8] + table_size(0) + GET[8:]), BROKEN),
    Case("4.2", "a size update at the beginning", headers(1, table_size(0) + NEVER), Tolerated()),
    Case("4.2", "two size updates at the beginning", headers(1, table_size(0) + table_size(4096) + NEVER), Tolerated()),
    Case(
        "4.2",
        "an entry that an update has evicted",
        headers(1, NEVER + literal(b"x-test", b"1", 0x40)) + headers(3, table_size(0) + NEVER + indexed(62)),
        BROKEN,
    ),
    Case(
        "4.4",
        "an entry larger than the table empties it",
        headers(1, NEVER + literal(b"x-test", b"1", 0x40) + literal(b"x-large", bytes(b"v" * 4096), 0x40))
        + headers(3, NEVER + indexed(62)),
        BROKEN,
    ),
    Case("5.1", "an integer of many bytes", headers(1, GET + b"\xff" + b"\xff" * 10 + b"\x01"), BROKEN),
    Case("5.1", "an index that overflows 32 bits", headers(1, GET + b"\xff\xff\xff\xff\xff\x1f"), BROKEN),
    Case("5.1", "an integer cut short", headers(1, GET + b"\xff\x80"), BROKEN),
    Case("5.1", "a length that overflows", headers(1, GET + b"\x00\x01x\x7f\xff\xff\xff\xff\x1f"), BROKEN),
    Case("5.2", "a name cut short", headers(1, GET + b"\x00\x05abc"), BROKEN),
    Case("5.2", "a value cut short", headers(1, GET + b"\x00\x01a\x05bcd"), BROKEN),
    Case("5.2", "a value that is missing", headers(1, GET + b"\x00\x01a"), BROKEN),
    *(
        Case("5.2", f"{what} in a value", headers(1, GET + coded(b"x-test", code)), BROKEN)
        for what, code in WRONG_CODES.items()
    ),
    *(
        Case("5.2", f"{what} in a credential", headers(1, GET + coded(AUTHORIZATION, code)), BROKEN)
        for what, code in WRONG_CODES.items()
    ),
    *(
        Case("5.2", f"{what} in a credential never indexed", headers(1, GET + coded(AUTHORIZATION, code, 0x10)), BROKEN)
        for what, code in WRONG_CODES.items()
    ),
    *(
        Case("5.2", f"{what} in an indexed credential", headers(1, GET + coded(AUTHORIZATION, code, 0x40)), BROKEN)
        for what, code in WRONG_CODES.items()
    ),
    *(
        Case(
            "5.2",
            f"{what} in a name",
            headers(1, GET + b"\x00" + integer(len(code), 7, 0x80) + code + b"\x01v"),
            BROKEN,
        )
        for what, code in WRONG_CODES.items()
    ),
    Case("6.3", "an update over the limit", headers(1, table_size(4097) + GET), BROKEN),
    Case(
        "6.3", "an update over the limit and down again", headers(1, table_size(1 << 20) + table_size(0) + GET), BROKEN
    ),
    Case(
        "4.3",
        "a block that cannot be decoded on a stream that is over",
        headers(1, NEVER) + reset(1) + headers(1, b"\x80"),
        BROKEN,
    ),
    Case(
        "8.2.1",
        "a line feed in a coded value",
        headers(1, GET + literal(b"x-test", b"a\nb", coded=True)),
        StreamReset(PROTOCOL_ERROR),
    ),
    Case(
        "8.2.1",
        "a line feed in a coded credential",
        headers(1, GET + literal(AUTHORIZATION, b"a\r\nb", coded=True)),
        StreamReset(PROTOCOL_ERROR),
    ),
    Case(
        "8.2.1",
        "a NUL in a coded credential",
        headers(1, GET + literal(AUTHORIZATION, b"\0", 0x10, coded=True)),
        StreamReset(PROTOCOL_ERROR),
    ),
)
def test_decoding(gateway: Gateway, case: Case) -> None:
    case.check(gateway.address)


@pytest.mark.parametrize("first", [0x00, 0x10, 0x40], ids=["without indexing", "never indexed", "indexed"])
@pytest.mark.parametrize("huffman", [False, True], ids=["plain", "coded"])
@pytest.mark.parametrize("name", [b"x-test", b"authorization", AUTHORIZATION, b"cookie"])
def test_a_field_arrives_however_it_was_coded(gateway: Gateway, name: bytes | int, huffman: bool, first: int) -> None:
    path = f"/{name!r}/{huffman}/{first}".replace("'", "")
    with Wire.client(gateway.address) as wire:
        for stream in (1, 3):
            coded = literal(name, b"some value", first, coded=huffman)
            wire.send(headers(stream, block(request(path=path)) + coded))
            assert wire.answer(stream).status == 200
    arrived = [request for request in gateway.backend.requests if request.path == path]
    expected = "authorization" if isinstance(name, int) else name.decode()
    assert [request.get(expected) for request in arrived] == ["some value"] * 2


def test_indexed_fields_stand_for_what_they_did_when_they_were_sent(gateway: Gateway) -> None:
    """Entries move up as others come; evicted ones leave those that refer to their names untouched."""
    names = [f"x-{number}".encode() for number in range(8)]
    with Wire.client(gateway.address) as wire:
        wire.send(headers(1, block(request(path="/fill")) + b"".join(literal(name, name, 0x40) for name in names)))
        wire.answer(1)
        wire.send(headers(3, block(request(path="/use")) + b"".join(indexed(62 + at) for at in range(8))))
        wire.answer(3)
        renamed = literal(62 + 7, b"new" * 600, 0x40) + literal(62, b"last")
        wire.send(headers(5, block(request(path="/rename")) + renamed))
        wire.answer(5)
    by_path = {request.path: request for request in gateway.backend.requests}
    assert [by_path["/use"].get(name.decode()) for name in names] == [name.decode() for name in names]
    assert [value for name, value in by_path["/rename"].headers if name == "x-0"] == ["new" * 600, "last"]


@pytest.mark.parametrize(
    "sizes", [(0,), (0, 4096), (4096, 0), (100,), (1 << 16,), (2**32 - 1,), (0, 0, 4096), (4096, 64, 4096)], ids=str
)
@pytest.mark.parametrize("together", [True, False], ids=["one frame", "several frames"])
def test_our_encoder_keeps_to_the_table_that_the_peer_offers(
    gateway: Gateway, sizes: tuple[int, ...], together: bool
) -> None:
    """A peer empties its table when it says 0, and wants to hear the smallest size (RFC 7541, section 4.2)."""
    with Wire.client(gateway.address) as wire:
        wire.send(headers(1, GET))
        assert wire.answer(1).status == 200
        pairs = [(HEADER_TABLE_SIZE, size) for size in sizes]
        wire.send(*([settings(*pairs)] if together else [settings(pair) for pair in pairs]))
        wire.offer_table(min(4096, *sizes), sizes[-1])
        for stream in (3, 5, 7):
            wire.send(headers(stream, GET))
            answer = wire.answer(stream)
            assert (answer.status, answer.headers["server"]) == (200, "tidegate")
