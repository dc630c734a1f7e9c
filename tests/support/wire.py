"""One end of an HTTP/2 connection on a raw socket: it sends any bytes and reads frames, and judges what came of it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from hpack import Decoder

from tests.support.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    Frame,
    ping,
    settings,
)

SECONDS = 30.0
"""How long a read may take; only a test that fails waits for so long."""

_SENTINEL = b"sentinel"


@dataclass(frozen=True, slots=True)
class ConnectionEnded:
    """GOAWAY with this code, then the end of the connection."""

    code: int


@dataclass(frozen=True, slots=True)
class StreamReset:
    code: int


@dataclass(frozen=True, slots=True)
class Tolerated:
    """Nothing came of it, and the connection goes on."""


Outcome = ConnectionEnded | StreamReset | Tolerated


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back on one stream. `reset` is the code of RST_STREAM when it ended by one."""

    status: int
    headers: dict[str, str]
    body: bytes
    trailers: dict[str, str]
    reset: int | None = None


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host, int(port)), timeout=SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class Backend:
    """A listening socket whose connections a test serves frame by frame; tests write every byte of it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(SECONDS)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._listener.close()

    def accept(self) -> Wire:
        """The next connection; nothing has been read from it or sent to it."""
        return Wire(self._listener.accept()[0])

    def greet(self, *pairs: tuple[int, int]) -> Wire:
        """The next connection, with its preface read and our SETTINGS sent."""
        wire = self.accept()
        assert wire.take_raw(len(PREFACE)) == PREFACE
        wire.send(settings(*pairs), settings(flags=ACK))
        return wire


class Wire:
    """`with Wire.client(address) as wire:` has exchanged prefaces; `with Wire(socket)` has said nothing yet."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.settimeout(SECONDS)
        self.frames: list[Frame] = []
        """All that were read."""
        self._buffer = b""
        self._decoder = Decoder()
        self._decoder.max_header_list_size = 1 << 20

    @classmethod
    def client(cls, address: str, *pairs: tuple[int, int]) -> Self:
        """Connects and exchanges SETTINGS: `pairs` are ours."""
        wire = cls(connect(address))
        wire.greet(*pairs)
        return wire

    def greet(self, *pairs: tuple[int, int]) -> None:
        """Begins as a client does: `pairs` are our SETTINGS."""
        self.send(PREFACE, settings(*pairs))
        self.until(lambda frame: frame.kind == SETTINGS and bool(frame.flags & ACK))
        self.send(settings(flags=ACK))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes) -> None:
        """Sends; that the other end has hung up meanwhile is found out by reading."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(b"".join(parts))

    def read(self) -> Frame | None:
        """The next frame; None at the end of the connection, in order or not."""
        head = self._take(9)
        if head is None:
            return None
        payload = self._take(int.from_bytes(head[:3], "big"))
        if payload is None:
            return None
        frame = Frame(head[3], head[4], int.from_bytes(head[5:], "big"), payload)
        self.frames.append(frame)
        return frame

    def _take(self, length: int) -> bytes | None:
        while len(self._buffer) < length:
            try:
                received = self.socket.recv(1 << 16)
            except ConnectionResetError:
                return None
            if not received:
                return None
            self._buffer += received
        taken, self._buffer = self._buffer[:length], self._buffer[length:]
        return taken

    def take_raw(self, length: int) -> bytes:
        """Bytes that are no frames, such as the preface."""
        taken = self._take(length)
        assert taken is not None, "the connection ended"
        return taken

    def until(self, wanted: Callable[[Frame], bool]) -> Frame:
        """Reads up to the first frame of that kind. AssertionError if the connection ends before."""
        while (frame := self.read()) is not None:
            if wanted(frame):
                return frame
        raise AssertionError(f"the connection ended after {self.frames[-5:]}")

    def until_kind(self, kind: int, stream: int | None = None) -> Frame:
        return self.until(lambda frame: frame.kind == kind and stream in (None, frame.stream))

    def outcome(self, stream: int = 0) -> Outcome:
        """What the other end made of all that was sent, its streams other than `stream` aside."""
        self.send(ping(_SENTINEL))
        result: Outcome = Tolerated()
        while (frame := self.read()) is not None:
            if frame.kind == GOAWAY and frame.payload[:4] != b"\x7f\xff\xff\xff":
                code = int.from_bytes(frame.payload[4:8], "big")
                while self.read() is not None:
                    pass
                return ConnectionEnded(code)
            if frame.kind == RST_STREAM and frame.stream == stream:
                result = StreamReset(frame.number)
            if frame.kind == PING and frame.flags & ACK and frame.payload == _SENTINEL:
                return result
        raise AssertionError(f"the connection ended without GOAWAY, after {self.frames[-5:]}")

    def has_hung_up(self) -> bool:
        """Whether the other end has said GOAWAY or ended the connection by now; reads what is there."""
        while True:
            if any(frame.kind == GOAWAY for frame in self.frames):
                return True
            self.socket.setblocking(False)
            try:
                received = self.socket.recv(1 << 16)
            except BlockingIOError:
                return False
            except ConnectionResetError:
                return True
            finally:
                self.socket.settimeout(SECONDS)
            if not received:
                return True
            self._buffer += received
            self._split()

    def _split(self) -> None:
        """Takes the whole frames out of what has been received."""
        while len(self._buffer) >= 9 and len(self._buffer) >= 9 + int.from_bytes(self._buffer[:3], "big"):
            self.read()

    def last_words(self) -> int:
        """Reads to the end of the connection; the code of the last GOAWAY before it."""
        while self.read() is not None:
            pass
        codes = [int.from_bytes(frame.payload[4:8], "big") for frame in self.frames if frame.kind == GOAWAY]
        assert codes, f"the connection ended without GOAWAY, after {self.frames[-5:]}"
        return codes[-1]

    def is_alive(self) -> bool:
        """Whether a PING is answered."""
        return not isinstance(self.outcome(), ConnectionEnded)

    def offer_table(self, smallest: int, last: int) -> None:
        """Does what a decoder does that offered sizes: it shrinks to the smallest at once, and grows when told."""
        self._decoder.header_table.maxsize = smallest
        self._decoder.max_allowed_table_size = last

    def fields(self, frame: Frame) -> list[tuple[str, str]]:
        """Decodes a header block that begins with `frame`, which all have to be for the sake of the table."""
        coded = frame.payload
        while not frame.flags & END_HEADERS:
            frame = self.until_kind(CONTINUATION)
            coded += frame.payload
        return [(str(name), str(value)) for name, value in self._decoder.decode(coded, raw=False)]

    def answer(self, stream: int = 1) -> Answer:
        """Reads a whole response; blocks of other streams are decoded too."""
        status, first, body, last = 0, dict[str, str](), b"", dict[str, str]()
        while (frame := self.read()) is not None:
            fields = self.fields(frame) if frame.kind == HEADERS else []
            if frame.stream != stream:
                continue
            if fields and status < 200:
                first = dict(fields)
                status = int(first[":status"])
            elif fields:
                last = dict(fields)
            elif frame.kind == DATA:
                body += frame.payload
            elif frame.kind == RST_STREAM:
                return Answer(status, first, body, last, frame.number)
            if frame.ends_stream:
                return Answer(status, first, body, last)
        raise AssertionError(f"the connection ended without an answer, after {self.frames[-5:]}")
