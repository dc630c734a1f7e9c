"""Which requests are malformed: RFC 9113, section 8. Each rule holds in a plain proxy as where requests are routed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.frames import (
    GET,
    NO_ERROR,
    POST,
    PROTOCOL_ERROR,
    block,
    data,
    headers,
    request,
    reset,
)
from tests.support.wire import StreamReset, Tolerated, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conformance.conftest import Gateway

M, S, A, P = request()

MALFORMED = {
    "8.2.1 an upper-case name": [*request(), ("X-Test", "ok")],
    "8.2.1 an empty name": [*request(), ("", "ok")],
    "8.2.1 a blank in a name": [*request(), ("x test", "ok")],
    "8.2.1 a colon in a name": [*request(), ("x:test", "ok")],
    "8.2.1 a control character in a name": [*request(), ("x-\x01", "ok")],
    "8.2.1 a byte over 0x7f in a name": [*request(), (b"x-\xe9", "ok")],
    "8.2.1 a line feed in a value": [*request(), ("x-test", "a\nb")],
    "8.2.1 a carriage return in a value": [*request(), ("x-test", "a\rb")],
    "8.2.1 a NUL in a value": [*request(), ("x-test", "a\0b")],
    "8.2.1 a blank before a value": [*request(), ("x-test", " a")],
    "8.2.1 a tab behind a value": [*request(), ("x-test", "a\t")],
    "8.2.2 connection": [*request(), ("connection", "keep-alive")],
    "8.2.2 keep-alive": [*request(), ("keep-alive", "timeout=1")],
    "8.2.2 proxy-connection": [*request(), ("proxy-connection", "keep-alive")],
    "8.2.2 transfer-encoding": [*request(), ("transfer-encoding", "chunked")],
    "8.2.2 upgrade": [*request(), ("upgrade", "h2c")],
    "8.2.2 te other than trailers": [*request(), ("te", "trailers, deflate")],
    "8.3 an unknown pseudo field": [*request(), (":test", "ok")],
    "8.3 an unknown pseudo field first": [(":test", "ok"), *request()],
    "8.3 a pseudo field of responses": [*request(), (":status", "200")],
    "8.3 a pseudo field behind a regular one": [M, S, A, ("x-test", "ok"), P],
    "8.3.1 no :method": [S, A, P],
    "8.3.1 no :scheme": [M, A, P],
    "8.3.1 no :path": [M, S, A],
    "8.3.1 an empty :path": [M, S, A, (":path", "")],
    "8.3.1 two :method": [M, *request()],
    "8.3.1 two :scheme": [M, S, S, A, P],
    "8.3.1 two :path": [M, S, A, P, P],
    "8.3.1 two :authority": [M, S, A, A, P],
    "8.3.1 a :path without a slash": [M, S, A, (":path", "index")],
    "8.3.1 an empty :method": [(":method", ""), S, A, P],
    "8.5 CONNECT with :path": [(":method", "CONNECT"), S, A, P],
    "8.1.1 a content-length that is no number": [*request(), ("content-length", "ten")],
    "8.1.1 two that differ": [*request(), ("content-length", "0"), ("content-length", "1")],
    "8.1.1 content-length with a sign": [*request(), ("content-length", "+0")],
    "8.1.1 content without content": [*request(), ("content-length", "1")],
}
"""RFC 9113, section 8.1.1: a stream error of the type PROTOCOL_ERROR."""


@pytest.mark.parametrize("fields", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_ends_its_stream_and_reaches_nobody(
    any_gateway: Gateway, fields: list[tuple[str | bytes, str | bytes]]
) -> None:
    before = len(any_gateway.backend.requests)
    with Wire.client(any_gateway.address) as wire:
        wire.send(headers(1, block(fields)))
        assert wire.outcome(1) == StreamReset(PROTOCOL_ERROR)
        wire.send(headers(3, GET))
        assert wire.answer(3).status == 200
    assert len(any_gateway.backend.requests) == before + 1


AMBIGUOUS = {
    "an asterisk other than for OPTIONS": [M, S, A, (":path", "*")],
    "a blank in :path": [M, S, A, (":path", "/a b")],
    "a fragment in :path": [M, S, A, (":path", "/a#b")],
    "a :method that is no token": [(":method", "GE T"), S, A, P],
    "user information in :authority": [M, S, (":authority", "user@gateway.test"), P],
    "host that differs from :authority": [*request(), ("host", "other.test")],
}


@pytest.mark.parametrize("fields", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_where_requests_are_routed_an_ambiguous_one_is_refused(
    routed_gateway: Gateway, fields: list[tuple[str | bytes, str | bytes]]
) -> None:
    before = len(routed_gateway.backend.requests)
    with Wire.client(routed_gateway.address) as wire:
        wire.send(headers(1, block(fields)))
        answer = wire.answer(1)
        assert answer.status == 400 or answer.reset == PROTOCOL_ERROR
    assert len(routed_gateway.backend.requests) == before


ALLOWED = {
    "te: trailers": [*request(), ("te", "trailers")],
    "a value with a tab inside": [*request(), ("x-test", "a\tb")],
    "an empty value": [*request(), ("x-test", "")],
    "a value over 0x7f": [*request(), ("x-test", b"\xe9\xff")],
    "content-length of 0": [*request(), ("content-length", "0")],
    "the same content-length twice": [*request(), ("content-length", "0"), ("content-length", "0")],
    "no :authority but host": [M, S, P, ("host", "gateway.test")],
    "host as :authority": [*request(), ("host", "gateway.test")],
    "pseudo fields in another order": [P, A, S, M],
    "cookies in pieces": [*request(), ("cookie", "a=1"), ("cookie", "b=2")],
    "another scheme": [M, (":scheme", "https"), A, P],
    "an unusual method": [(":method", "PROPFIND"), S, A, P],
    "OPTIONS *": [(":method", "OPTIONS"), S, A, (":path", "*")],
    "marks in a name": [*request(), ("x!#$%&'*+-.^_`|~1", "ok")],
}


@pytest.mark.parametrize("fields", ALLOWED.values(), ids=ALLOWED)
def test_an_unusual_request_is_served(any_gateway: Gateway, fields: list[tuple[str | bytes, str | bytes]]) -> None:
    with Wire.client(any_gateway.address) as wire:
        wire.send(headers(1, block(fields)))
        assert wire.answer(1).status == 200
    assert not any_gateway.backend.faults


LENGTH_2 = block(request(("content-length", "2"), method="POST"))
BODIES = {
    "8.1.1 more than content-length": headers(1, LENGTH_2, end=False) + data(1, b"abc", end=True),
    "8.1.1 more in several frames": headers(1, LENGTH_2, end=False) + data(1, b"ab") + data(1, b"c", end=True),
    "8.1.1 less than content-length": headers(1, LENGTH_2, end=False) + data(1, b"a", end=True),
    "8.1.1 trailers before the end": headers(1, LENGTH_2, end=False)
    + data(1, b"a")
    + headers(1, block([("x-t", "1")])),
    "8.1 a second HEADERS without END_STREAM": headers(1, POST, end=False)
    + headers(1, block([("x-t", "1")]), end=False),
    "8.1 trailers with a pseudo field": headers(1, POST, end=False) + headers(1, block([(":method", "GET")])),
    "8.1 trailers with an unknown pseudo field": headers(1, POST, end=False) + headers(1, block([(":test", "ok")])),
    "8.1 trailers with an upper-case name": headers(1, POST, end=False) + headers(1, block([("X-T", "1")])),
    "8.1 trailers with connection": headers(1, POST, end=False) + headers(1, block([("connection", "close")])),
}


@pytest.mark.parametrize("sent", BODIES.values(), ids=BODIES)
def test_a_malformed_body_ends_its_stream(any_gateway: Gateway, sent: bytes) -> None:
    with Wire.client(any_gateway.address) as wire:
        wire.send(sent)
        assert wire.outcome(1) == StreamReset(PROTOCOL_ERROR)
        wire.send(headers(3, GET))
        assert wire.answer(3).status == 200
    assert not any_gateway.backend.faults


def test_content_and_trailers_arrive(any_gateway: Gateway) -> None:
    fields = request(("content-length", "4"), ("trailer", "x-sum"), method="POST", path="/trailers")
    with Wire.client(any_gateway.address) as wire:
        wire.send(headers(1, block(fields), end=False), data(1, b"ab"), data(1), data(1, b"cd", padding=7))
        wire.send(headers(1, block([("x-sum", "10")])))
        assert wire.answer(1).status == 200
    [arrived] = [request for request in any_gateway.backend.requests if request.path == "/trailers"]
    assert (arrived.body, arrived.trailers) == (b"abcd", [("x-sum", "10")])


EARLY = "/healthz"
"""Answered by the gateway, whatever is still to come of the request."""


@pytest.mark.parametrize("parts", [1, 3])
def test_a_short_request_that_is_answered_early_may_end(routed_gateway: Gateway, parts: int) -> None:
    """RFC 9113, section 8.1, allows a reset; some clients take it for a failure while they send."""
    fields = block(request(("content-length", str(4 * parts)), method="POST", path=EARLY))
    with Wire.client(routed_gateway.address) as wire:
        wire.send(headers(1, fields, end=False))
        assert wire.answer(1).status == 200
        wire.send(*(data(1, b"abcd", end=part == parts - 1) for part in range(parts)))
        assert wire.outcome(1) == Tolerated()
        wire.send(headers(3, GET))
        assert wire.answer(3).status == 200


@pytest.mark.parametrize("length", [[], [("content-length", str(64 << 20))]], ids=["no length", "a large body"])
def test_what_could_be_long_is_not_waited_for(routed_gateway: Gateway, length: list[tuple[str, str]]) -> None:
    with Wire.client(routed_gateway.address) as wire:
        wire.send(headers(1, block(request(*length, method="POST", path=EARLY)), end=False))
        assert wire.answer(1).status == 200
        assert wire.outcome(1) == StreamReset(NO_ERROR)


LATE: dict[str, Callable[[int], bytes]] = {
    "the body": lambda stream: data(stream, b"abcde", end=True),
    "a reset": reset,
}


@pytest.mark.parametrize("late", LATE.values(), ids=LATE)
def test_answers_before_the_end_of_many_requests_cost_no_connection(
    routed_gateway: Gateway, late: Callable[[int], bytes]
) -> None:
    """What comes late is more than a client may send for nothing."""
    fields = block(request(method="POST", path=EARLY))
    with Wire.client(routed_gateway.address) as wire:
        for stream in range(1, 40_001, 2):
            wire.send(headers(stream, fields, end=False))
            assert wire.answer(stream).status == 200
            wire.send(late(stream))
        assert wire.is_alive()
