"""HTTP/2 clients that no library would be: over raw sockets, rude or gone."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable

from tests.soak.frames import (
    ACK,
    DATA,
    END_STREAM,
    GOAWAY,
    HEADERS,
    NO_WINDOW,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    Frames,
    frame,
    message,
    request,
    reset_socket,
)
from tests.soak.tally import Tally
from tests.support.backends import COUNT_KEY, SERVICE

UNARY, STREAM, JOIN = (f"/{SERVICE}/{name}" for name in ("Unary", "ServerStream", "ClientStream"))
CANCEL = (8).to_bytes(4)
MOST_ABANDONED = 60
PATIENCE_SECONDS = 30.0
"""Far beyond every deadline and time-out that these clients meet."""


class RawClient:
    """`abandoned` are connections that were left as they were, open and silent: the gateway has to end them."""

    def __init__(self, address: tuple[str, int], seed: int, tally: Tally, stop: threading.Event) -> None:
        self._address = address
        self._random = random.Random(seed)
        self._tally = tally
        self._stop = stop
        self.abandoned: list[socket.socket] = []

    def run(self) -> None:
        kinds: tuple[Callable[[socket.socket], None], ...] = (
            self._rapid_reset,
            self._reset_connection,
            self._half_closed,
            self._stalled,
            self._expired,
            self._babble,
            self._half_open,
            self._flood,
        )
        while not self._stop.is_set():
            kind = self._random.choice(kinds)
            who = f"raw {kind.__name__.strip('_').replace('_', ' ')}"
            client = socket.create_connection(self._address, PATIENCE_SECONDS)
            try:
                kind(client)
                self._tally.count(who, "done")
            except TimeoutError:
                self._tally.fault(who, f"nothing came for {PATIENCE_SECONDS:g} s")
            except OSError as error:
                self._tally.count(who, type(error).__name__)
            if kind == self._half_open and len(self.abandoned) < MOST_ABANDONED:
                self.abandoned.append(client)
            else:
                client.close()
            self._stop.wait(self._random.uniform(0, 0.05))

    def _rapid_reset(self, client: socket.socket) -> None:
        """CVE-2023-44487, within what a gateway should bear."""
        client.sendall(PREFACE + frame(SETTINGS, 0, 0))
        for number in range(self._random.randint(1, 150)):
            stream = number * 2 + 1
            client.sendall(request(stream, self._random.choice((UNARY, STREAM, JOIN))))
            client.sendall(frame(RST_STREAM, 0, stream, CANCEL))

    def _reset_connection(self, client: socket.socket) -> None:
        client.sendall(PREFACE + frame(SETTINGS, 0, 0))
        for number in range(self._random.randint(1, 20)):
            stream = number * 2 + 1
            body = message(self._random.randbytes(10_000))
            client.sendall(request(stream, UNARY) + frame(DATA, END_STREAM, stream, body))
        reset_socket(client)

    def _half_closed(self, client: socket.socket) -> None:
        """Sends its requests, then FIN: the answers may still be read."""
        client.sendall(PREFACE + frame(SETTINGS, 0, 0))
        client.sendall(request(1, UNARY) + frame(DATA, END_STREAM, 1, message(b"x")))
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass

    def _stalled(self, client: socket.socket) -> None:
        """Asks for much and takes nothing, until the deadline that it gave."""
        client.sendall(PREFACE + frame(SETTINGS, 0, 0, NO_WINDOW))
        fields = ((COUNT_KEY, "100"), ("grpc-timeout", "300m"))
        for stream in (1, 3, 5):
            client.sendall(request(stream, STREAM, *fields))
            client.sendall(frame(DATA, END_STREAM, stream, message(bytes(10_000))))
        self._until_ended(client, 3)

    def _expired(self, client: socket.socket) -> None:
        """Begins a request and never ends it."""
        client.sendall(PREFACE + frame(SETTINGS, 0, 0))
        client.sendall(request(1, JOIN, ("grpc-timeout", "100m")) + frame(DATA, 0, 1, message(b"begun")))
        self._until_ended(client, 1)

    def _babble(self, client: socket.socket) -> None:
        start = self._random.choice((b"", PREFACE, PREFACE + frame(SETTINGS, 0, 0)))
        client.sendall(start + self._random.randbytes(self._random.randint(1, 500)))
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass

    def _flood(self, client: socket.socket) -> None:
        client.sendall(PREFACE + frame(SETTINGS, 0, 0))
        client.sendall(frame(PING, 0, 0, bytes(8)) * 11_000)
        for kind, _, _ in Frames(client):
            if kind == GOAWAY:
                return

    def _half_open(self, client: socket.socket) -> None:
        client.sendall(
            self._random.choice(
                (
                    b"",
                    PREFACE[:10],
                    b"GET / HT",
                    PREFACE,
                    PREFACE + frame(SETTINGS, 0, 0),
                    PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, 0, 1, b"\x83"),
                    PREFACE + frame(SETTINGS, 0, 0) + request(1, JOIN),
                    PREFACE + frame(SETTINGS, 0, 0) + request(1, UNARY) + frame(DATA, 0, 1, b"\0\0"),
                )
            )
        )

    def _until_ended(self, client: socket.socket, streams: int) -> None:
        """Reads until so many streams have ended."""
        for kind, stream, _ in Frames(client):
            if kind == SETTINGS and stream == 0:
                client.sendall(frame(SETTINGS, ACK, 0))
            streams -= kind in (RST_STREAM, HEADERS)
            if streams <= 0:
                return
