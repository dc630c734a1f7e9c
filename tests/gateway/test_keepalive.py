"""PING in both directions between the gateway and its clients (RFC 9113, section 6.7).

Ours ask whether a silent client is still there; theirs are answered, and honest ones are no flood.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import pytest

from tests.support.cores import Served, document, serve
from tests.support.frames import ACK, GET, HEADERS, PING, Frame, block, headers, ping, request
from tests.support.recorder import BODY, Recorder
from tests.support.waiting import wait_for
from tests.support.wire import Wire

NEVER = block(request(path="/never"))
OFTEN = {"keepalive_time_ms": 100, "header_timeout_ms": 1000}
PINGS_OF_HALF_A_DAY = 12 * 60 * 60 // 10
"""Of a client that sends one every ten seconds; ours come at once, which is well within the burst of the guard."""


@contextmanager
def gateway(**limits: int) -> Iterator[Served]:
    with Recorder() as backend, serve(document(backend.address, limits=limits)) as served:
        yield served


def is_question(frame: Frame) -> bool:
    return frame.kind == PING and not frame.flags & ACK


def check_answer(wire: Wire, stream: int) -> None:
    wire.send(headers(stream, GET))
    assert wire.answer(stream).status == 200


def idle(wire: Wire) -> None:
    pass


def waiting(wire: Wire) -> None:
    wire.send(headers(1, NEVER))


@pytest.mark.parametrize("state", [idle, waiting])
def test_a_silent_client_that_answers_is_kept(state: Callable[[Wire], None]) -> None:
    with gateway(**OFTEN, keepalive_timeout_ms=60_000) as served, Wire.client(served.address) as wire:
        state(wire)
        for _ in range(5):
            question = wire.until(is_question)
            wire.send(ping(question.payload, flags=ACK))
        check_answer(wire, 3)
        assert served.counter("connections_closed_total") == 0


@pytest.mark.parametrize("state", [idle, waiting])
def test_a_silent_client_that_does_not_answer_is_let_go(state: Callable[[Wire], None]) -> None:
    with gateway(**OFTEN, keepalive_timeout_ms=300) as served, Wire.client(served.address) as wire:
        state(wire)
        while wire.read() is not None:
            pass
        assert len([frame for frame in wire.frames if is_question(frame)]) == 1
        wait_for("the end of the connection", lambda: served.core.active_connections() == 0)
        wait_for("the end of its call", lambda: served.core.active_streams() == 0)


def test_nobody_is_asked_where_the_operator_did_not_say_so() -> None:
    """Seen beside a client that is let go for its silence alone, after the same time."""
    with gateway() as quiet, gateway(**OFTEN, keepalive_timeout_ms=300) as asking:
        with Wire.client(quiet.address) as kept, Wire.client(asking.address) as asked:
            while asked.read() is not None:
                pass
            check_answer(kept, 1)
            assert [frame for frame in kept.frames if frame.kind == PING] == []


def test_an_http1_client_cannot_be_asked_and_is_kept() -> None:
    with gateway(**OFTEN, keepalive_timeout_ms=300) as served:
        host, _, port = served.address.rpartition(":")
        plain = http.client.HTTPConnection(host, int(port), timeout=30)
        with closing(plain):
            for _ in range(2):
                plain.request("GET", "/")
                assert plain.getresponse().read() == BODY
                with Wire.client(served.address) as asked:
                    while asked.read() is not None:
                        pass
        assert served.counter("connections_accepted_total") == 3


def test_a_clients_pings_are_answered_and_are_no_flood() -> None:
    with gateway() as served, Wire.client(served.address) as wire:
        for number in range(PINGS_OF_HALF_A_DAY):
            wire.send(ping(number.to_bytes(8)))
            answer = wire.until(lambda frame: frame.kind == PING)
            assert (answer.flags, answer.payload) == (ACK, number.to_bytes(8))
        check_answer(wire, 1)
        assert served.counter("connections_closed_total") == 0


def test_pings_are_answered_while_a_call_waits() -> None:
    """As grpcio sends them: with a call open and nothing else said."""
    with gateway() as served, Wire.client(served.address) as wire:
        wire.send(headers(1, NEVER))
        for number in range(100):
            wire.send(ping(number.to_bytes(8)))
            assert wire.until_kind(PING).payload == number.to_bytes(8)
        check_answer(wire, 3)
        assert [frame.stream for frame in wire.frames if frame.kind == HEADERS] == [3]
