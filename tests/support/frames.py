"""HTTP/2 frames and header blocks by hand, for tests that say what no library lets them say (RFC 9113, RFC 7541)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
UNKNOWN = 0x2A

ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY_FLAG = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = (
    range(1, 7)
)

(
    NO_ERROR,
    PROTOCOL_ERROR,
    INTERNAL_ERROR,
    FLOW_CONTROL_ERROR,
    SETTINGS_TIMEOUT,
    STREAM_CLOSED,
    FRAME_SIZE_ERROR,
    REFUSED_STREAM,
    CANCEL,
    COMPRESSION_ERROR,
    CONNECT_ERROR,
    ENHANCE_YOUR_CALM,
) = range(12)

LARGEST_WINDOW = 2**31 - 1
INITIAL_WINDOW = 65_535
LARGEST_FRAME = 16_384

Fields = Iterable[tuple[str | bytes, str | bytes]]


class Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes

    @property
    def number(self) -> int:
        """The last 32 bits: the code of RST_STREAM, the increment of WINDOW_UPDATE."""
        return int.from_bytes(self.payload[-4:], "big")

    @property
    def ends_stream(self) -> bool:
        return self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM)


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"", *, length: int | None = None) -> bytes:
    """A frame as it stands on the wire; `length` and the top bit of `stream` may lie."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*pairs: tuple[int, int], flags: int = 0, stream: int = 0) -> bytes:
    return frame(SETTINGS, flags, stream, b"".join(struct.pack(">HI", *pair) for pair in pairs))


def data(stream: int, payload: bytes = b"", *, end: bool = False, padding: int | None = None) -> bytes:
    if padding is None:
        return frame(DATA, END_STREAM * end, stream, payload)
    return frame(DATA, END_STREAM * end | PADDED, stream, bytes([padding]) + payload + bytes(padding))


def headers(stream: int, block: bytes, *, end: bool = True, flags: int = END_HEADERS) -> bytes:
    return frame(HEADERS, END_STREAM * end | flags, stream, block)


def continuation(stream: int, block: bytes, *, last: bool = True) -> bytes:
    return frame(CONTINUATION, END_HEADERS * last, stream, block)


def priority(stream: int, dependency: int, weight: int = 15) -> bytes:
    return frame(PRIORITY, 0, stream, struct.pack(">IB", dependency, weight))


def reset(stream: int, code: int = CANCEL) -> bytes:
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def ping(payload: bytes = b"12345678", *, flags: int = 0, stream: int = 0) -> bytes:
    return frame(PING, flags, stream, payload)


def goaway(last: int = 0, code: int = NO_ERROR, debug: bytes = b"") -> bytes:
    return frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + debug)


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def integer(value: int, prefix: int, first: int = 0) -> bytes:
    """RFC 7541, section 5.1: an integer behind the high bits of `first`."""
    mask = (1 << prefix) - 1
    if value < mask:
        return bytes([first | value])
    out = bytearray([first | mask])
    value -= mask
    while value >= 128:
        out.append(value % 128 | 128)
        value //= 128
    out.append(value)
    return bytes(out)


def huffman(text: bytes) -> bytes:
    coded: bytes = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH).encode(text)
    return coded


def string(text: bytes, *, coded: bool = False) -> bytes:
    """RFC 7541, section 5.2: a string literal, Huffman-coded or plain."""
    content = huffman(text) if coded else text
    return integer(len(content), 7, 0x80 * coded) + content


def literal(name: bytes | int, value: bytes, first: int = 0, *, coded: bool = False) -> bytes:
    """A literal field: `first` 0x00 without, 0x40 with, 0x10 never indexed. A number is the index of the name."""
    prefix = 6 if first == 0x40 else 4
    if isinstance(name, int):
        return integer(name, prefix, first) + string(value, coded=coded)
    return bytes([first]) + string(name, coded=coded) + string(value, coded=coded)


def indexed(index: int) -> bytes:
    return integer(index, 7, 0x80)


def table_size(size: int) -> bytes:
    return integer(size, 5, 0x20)


def block(fields: Fields) -> bytes:
    """A header block that leaves the tables alone and checks nothing."""
    return b"".join(literal(_bytes(name), _bytes(value)) for name, value in fields)


def _bytes(text: str | bytes) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text


def request(
    *more: tuple[str | bytes, str | bytes], method: str = "GET", path: str = "/"
) -> list[tuple[str | bytes, str | bytes]]:
    """The fields of a request, with `more` behind them."""
    return [(":method", method), (":scheme", "http"), (":authority", "gateway.test"), (":path", path), *more]


GET = block(request())
POST = block(request(method="POST"))
