"""HTTP/2 by hand, for peers that do what no library would."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
NO_WINDOW = struct.pack(">HI", 4, 0)
"""SETTINGS_INITIAL_WINDOW_SIZE 0: nothing may be sent to us."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def header(name: str, value: str) -> bytes:
    """A literal field that no table holds, below 127 bytes."""
    return bytes((0, len(name))) + name.encode() + bytes((len(value),)) + value.encode()


def request(stream: int, path: str, *fields: tuple[str, str], end: bool = False) -> bytes:
    named = ((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "soak.test"))
    grpc = (("content-type", "application/grpc"), ("te", "trailers"))
    block = b"".join(header(*field) for field in (*named, *grpc, *fields))
    return frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream, block)


def message(content: bytes) -> bytes:
    return b"\0" + len(content).to_bytes(4) + content


def reset_socket(connected: socket.socket) -> None:
    """Closes with a TCP RST instead of a FIN."""
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()


class Frames:
    """(kind, stream, payload) of each frame that a socket yields, its preface left out, until it ends."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._held = b""

    def __iter__(self) -> Iterator[tuple[int, int, bytes]]:
        while received := self._socket.recv(65536):
            self._held += received
            self._held = self._held.removeprefix(PREFACE)
            while len(self._held) >= 9 and len(self._held) >= 9 + (length := int.from_bytes(self._held[:3])):
                kind, stream = self._held[3], int.from_bytes(self._held[5:9])
                payload, self._held = self._held[9 : 9 + length], self._held[9 + length :]
                yield kind, stream, payload
