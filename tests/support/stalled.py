"""Many clients that ask for large responses and take nothing of them."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self

from tests.support.frames import (
    INITIAL_WINDOW_SIZE,
    LARGEST_FRAME,
    LARGEST_WINDOW,
    PREFACE,
    block,
    data,
    headers,
    request,
    settings,
    window_update,
)
from tests.support.wire import SECONDS

RECEIVE_BUFFER = 4096
"""Bytes that the kernel may keep for a client that does not read, as it understands them (socket(7))."""


class StalledClients:
    """`with StalledClients(...)`: so many connections, each with a gRPC call. They go away at the end of the block.

    They grant no window at all, but for some that grant what they can and do not read from their socket.
    """

    def __init__(
        self,
        address: str,
        path: str,
        message: bytes,
        metadata: Sequence[tuple[str, str]],
        number: int,
        *,
        deaf: int,
    ) -> None:
        """`message`: the content of the request's one message, less than 64 KiB. `deaf`: how many do not read."""
        fields = [("te", "trailers"), ("content-type", "application/grpc"), *metadata]
        body = b"\0" + len(message).to_bytes(4) + message
        parts = [body[at : at + LARGEST_FRAME] for at in range(0, len(body), LARGEST_FRAME)]
        frames = [data(1, part, end=part is parts[-1]) for part in parts]
        asked = headers(1, block(request(*fields, method="POST", path=path)), end=False) + b"".join(frames)
        self._address = address
        self._number = number
        self._deaf = deaf
        self._shut = PREFACE + settings((INITIAL_WINDOW_SIZE, 0)) + asked
        self._wide = PREFACE + settings((INITIAL_WINDOW_SIZE, LARGEST_WINDOW)) + window_update(0, 1 << 30) + asked
        self._open = ExitStack()

    def __enter__(self) -> Self:
        host, _, port = self._address.rpartition(":")
        for number in range(self._number):
            one = self._open.enter_context(socket.socket())
            one.settimeout(SECONDS)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            one.connect((host, int(port)))
            one.sendall(self._wide if number < self._deaf else self._shut)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open.close()
