"""What the gateway itself puts into responses, from the first one on."""

from __future__ import annotations

import contextlib
import time
from email.utils import parsedate_to_datetime

from tests.support.cores import document, serve
from tests.support.frames import DATA, GET, HEADERS, INITIAL_WINDOW_SIZE, SETTINGS, block, data, headers, window_update
from tests.support.recorder import Recorder
from tests.support.wire import Backend, Wire, connect


def test_the_date_is_right_from_the_first_response_on() -> None:
    began = time.time()
    with Recorder() as backend, serve(document(backend.address)) as served, Wire.client(served.address) as wire:
        wire.send(headers(1, GET))
        answer = wire.answer(1)
        assert began - 2 <= parsedate_to_datetime(answer.headers["date"]).timestamp() <= time.time() + 2
        assert answer.headers["server"] == "tidegate"


def test_an_upload_over_http1_comes_whole_through_a_window_that_opens_in_small_steps() -> None:
    """The read buffer fills while the backend takes a little at a time."""
    size = 2 << 20
    with Backend() as backend, serve(document(backend.address)) as served, connect(served.address) as client:
        client.sendall(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % size)
        with backend.greet((INITIAL_WINDOW_SIZE, 0)) as wire:
            wire.until(lambda one: one.kind == SETTINGS and one.flags == 1)
            if not any(one.kind == HEADERS for one in wire.frames):
                wire.until_kind(HEADERS)
            client.setblocking(False)
            sent = taken = 0
            while taken < size:
                with contextlib.suppress(BlockingIOError):
                    sent += client.send(bytes(min(1 << 16, size - sent))) if sent < size else 0
                step = 100 if taken < 100_000 else 1 << 16
                wire.send(window_update(1, step), window_update(0, step))
                room = min(step, size - taken)
                while room:
                    part = len(wire.until_kind(DATA, 1).payload)
                    room, taken = room - part, taken + part
            wire.send(headers(1, block([(":status", "200")]), end=False), data(1, b"whole", end=True))
            client.settimeout(30)
            assert client.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
