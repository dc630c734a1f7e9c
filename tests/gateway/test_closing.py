"""The second step of a drain: who still connects is served, and a second later nobody is let in any more.

Between the two lies no moment in which a connection is taken and then cut: it is refused, or it gets its answer. Only
the kernel can let in one more, between the last look at its queue and the end of the listener: a client that is reset
then, before anything was said to it, is refused when it comes again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.support.cores import document, serve
from tests.support.frames import GET, PREFACE, headers, settings
from tests.support.recorder import Recorder
from tests.support.waiting import wait_for
from tests.support.wire import Wire, connect

ACCEPTS_FOR = 1.0
"""Seconds, as `tidegate_core.pyi` has it."""


def pause() -> bool:
    """Half of the time that the gateway leaves a client. False: this machine was so busy that all of it is over."""
    began = time.monotonic()
    time.sleep(ACCEPTS_FOR / 2)
    return time.monotonic() - began < 0.8 * ACCEPTS_FOR


def ask_http2(address: str) -> None:
    with Wire(connect(address)) as wire:
        wire.send(PREFACE, settings(), headers(1, GET))
        assert wire.answer(1).status == 200


def ask_http2_late(address: str) -> None:
    """Its request comes when the gateway has stopped accepting or is about to."""
    with Wire.client(address) as wire:
        if pause():
            wire.send(headers(1, GET))
            assert wire.answer(1).status == 200


def ask_http1(address: str) -> None:
    with connect(address) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        answer = b""
        while not answer.endswith(b"0\r\n\r\n"):
            part = plain.recv(1 << 16)
            assert part, f"cut after {answer!r}"
            answer += part


def ask_nothing_at_first(address: str) -> None:
    """It has not even said which protocol it speaks."""
    with connect(address) as plain:
        if not pause():
            return
        with Wire(plain) as wire:
            wire.send(PREFACE, settings(), headers(1, GET))
            assert wire.answer(1).status == 200


Ask = Callable[[str], None]
CLIENTS: list[Ask] = [ask_http2, ask_http2_late, ask_http1, ask_nothing_at_first]


@dataclass(slots=True)
class Comers:
    """Clients of one kind that come one after the other, until one is refused."""

    ask: Ask
    served: int = 0
    refused_at: float = 0.0
    cut: list[str] = field(default_factory=list)

    def run(self, address: str) -> None:
        reset: list[str] = []
        while not self.refused_at:
            try:
                self.ask(address)
            except ConnectionRefusedError:
                self.refused_at = time.monotonic()
                reset = []
            except (AssertionError, OSError) as error:
                kept = self.cut if reset or not isinstance(error, ConnectionResetError) else reset
                kept.append(f"{self.ask.__name__}: {error!r}")
            else:
                self.served += 1
                self.cut += reset
                reset = []


@pytest.mark.parametrize("workers", [1, 3])
def test_who_comes_late_is_served_or_refused(workers: int) -> None:
    comers = [Comers(ask) for ask in CLIENTS]
    with Recorder() as backend, serve(document(backend.address), workers) as served:
        threads = [threading.Thread(target=one.run, args=(served.address,)) for one in comers]
        for thread in threads:
            thread.start()
        wait_for("the first clients", lambda: all(one.served or one.cut for one in comers))
        before = served.counter("connections_accepted_total")
        began = time.monotonic()
        served.core.close_connections()
        for thread in threads:
            thread.join()
        assert [one.cut for one in comers] == [[]] * len(comers)
        assert min(one.refused_at for one in comers) >= began + ACCEPTS_FOR
        assert served.counter("connections_accepted_total") > before
        wait_for("the end of all connections", lambda: served.core.active_connections() == 0)
        assert served.core.active_streams() == 0


def test_nobody_is_let_in_again() -> None:
    """Neither after a while nor by a new snapshot."""
    with Recorder() as backend, serve(document(backend.address)) as served:
        ask_http2(served.address)
        served.core.close_connections()

        def refused() -> bool:
            try:
                connect(served.address).close()
            except ConnectionRefusedError:
                return True
            return False

        wait_for("the end of accepting", refused)
        for _ in range(20):
            assert refused()
