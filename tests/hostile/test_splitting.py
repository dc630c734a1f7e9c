"""Answers of a backend that would become two on their way from HTTP/2 to a client of HTTP/1.1."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cores import Served, document, serve
from tests.support.frames import HEADERS, block, data, headers, huffman, integer, literal, reset, string
from tests.support.wire import Backend, connect

STATUS = (":status", "200")
INJECTED = "\r\nset-cookie: admin=1\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: close\r\n\r\n"


@pytest.fixture
def backend() -> Iterator[Backend]:
    with Backend() as backend:
        yield backend


@pytest.fixture
def served(backend: Backend) -> Iterator[Served]:
    with serve(document(backend.address)) as served:
        yield served


def exchange(served: Served, backend: Backend, answer: bytes) -> bytes:
    """What a client of HTTP/1.1 reads, up to the end of the connection, when a backend answers stream 1 so."""
    with connect(served.address) as client:
        client.sendall(GET)
        with backend.greet() as wire:
            wire.until_kind(HEADERS)
            wire.send(answer)
            return b"".join(iter(lambda: client.recv(1 << 16), b""))


SPLITTING = {
    "CR LF in a value": block([STATUS, ("x-test", INJECTED)]),
    "LF in a value": block([STATUS, ("x-test", INJECTED.replace("\r", ""))]),
    "CR in a value": block([STATUS, ("x-test", "a\rset-cookie: admin=1")]),
    "NUL in a value": block([STATUS, ("x-test", "a\0b")]),
    "CR LF in a coded value": block([STATUS]) + literal(b"x-test", INJECTED.encode(), coded=True),
    "CR LF in a credential": block([STATUS]) + literal(23, INJECTED.encode()),
    "CR LF in a coded credential": block([STATUS]) + literal(23, INJECTED.encode(), coded=True),
    "CR LF in a name": block([STATUS, (INJECTED, "1")]),
    "a colon in a name": block([STATUS, ("set-cookie: admin", "1")]),
    "a blank in a name": block([STATUS, ("content-length ", "0")]),
    "transfer-encoding": block([STATUS, ("transfer-encoding", "chunked")]),
    "connection": block([STATUS, ("connection", "keep-alive")]),
    "a status with more behind it": block([(":status", "200 OK\r\nset-cookie: admin=1")]),
    "two lengths": block([STATUS, ("content-length", "0"), ("content-length", "5")]),
    "a length with more behind it": block([STATUS, ("content-length", "0\r\nset-cookie: a=1")]),
    "101": block([(":status", "101"), ("upgrade", "h2c")]),
}


@pytest.mark.parametrize("head", SPLITTING.values(), ids=SPLITTING)
def test_a_response_that_would_split_is_replaced(served: Served, backend: Backend, head: bytes) -> None:
    answer = exchange(served, backend, headers(1, head))
    assert answer.startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 500 "))
    assert b"set-cookie" not in answer
    assert b"transfer-encoding" not in answer


def coded_bytes_that_hold_a_line_end() -> bytes:
    """A text whose Huffman code holds CR LF: who writes a value without decoding it writes those."""
    for first in range(33, 127):
        for second in range(33, 127):
            for third in range(33, 127):
                text = bytes([first, second, third])
                if b"\r\n" in huffman(text):
                    return text
    raise AssertionError("there is none")


@pytest.mark.parametrize("name", ["authorization", "proxy-authorization", "cookie", "x-test"])
def test_a_coded_value_is_decoded_before_it_is_written(served: Served, backend: Backend, name: str) -> None:
    text = coded_bytes_that_hold_a_line_end()
    head = block([STATUS]) + literal(name.encode(), text, coded=True)
    answer = exchange(served, backend, headers(1, head))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\n%s: %s\r\n" % (name.encode(), text) in answer


HEAD = block([STATUS, ("content-type", "text/plain")])
LENGTH_5 = block([STATUS, ("content-length", "5")])
CUT = {
    "a body that is too long": headers(1, LENGTH_5, end=False) + data(1, b"12345HTTP/1.1 200 OK\r\n\r\n", end=True),
    "a body that is too long, in two frames": headers(1, LENGTH_5, end=False)
    + data(1, b"12345")
    + data(1, b"6", end=True),
    "a body that is too short": headers(1, LENGTH_5, end=False) + data(1, b"123", end=True),
    "a body that is too short, with trailers": headers(1, LENGTH_5, end=False)
    + data(1, b"123")
    + headers(1, block([("x-trailer", "1")])),
    "a reset in the middle": headers(1, HEAD, end=False) + data(1, b"123") + reset(1, 2),
    "trailers with CR LF": headers(1, HEAD, end=False) + data(1, b"123") + headers(1, block([("x-trailer", INJECTED)])),
    "trailers with content-length and CR LF": headers(1, HEAD, end=False)
    + data(1, b"123")
    + headers(1, block([("content-length", "5\r\n\r\n")])),
    "trailers without an end": headers(1, HEAD, end=False)
    + data(1, b"123")
    + headers(1, block([("x-trailer", "1")]), end=False),
}


@pytest.mark.parametrize("sent", CUT.values(), ids=CUT)
def test_a_response_that_breaks_off_never_looks_whole(served: Served, backend: Backend, sent: bytes) -> None:
    """RFC 9112, section 8: too few bytes, or chunks without the last one; and no second response behind it."""
    answer = exchange(served, backend, sent)
    if answer.startswith(b"HTTP/1.1 502 "):
        return
    head, _, body = answer.partition(b"\r\n\r\n")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"set-cookie" not in answer
    if b"transfer-encoding: chunked" in head:
        assert not body.endswith(b"0\r\n\r\n")
    else:
        assert b"12345".startswith(body)


@pytest.mark.parametrize("status", ["204", "304"])
def test_a_body_where_none_may_be_is_no_second_response(served: Served, backend: Backend, status: str) -> None:
    sent = headers(1, block([(":status", status)]), end=False) + data(1, b"HTTP/1.1 200 OK\r\n\r\n", end=True)
    answer = exchange(served, backend, sent)
    assert answer.startswith(b"HTTP/1.1 %s " % status.encode())
    assert b"HTTP/1.1 200" not in answer


@pytest.mark.parametrize("interim", ["100", "102", "103", "199"])
def test_an_interim_response_leaves_the_final_one_whole(served: Served, backend: Backend, interim: str) -> None:
    sent = headers(1, block([(":status", interim), ("x-interim", "1")]), end=False)
    answer = exchange(served, backend, sent + headers(1, HEAD, end=False) + data(1, b"whole", end=True))
    assert b"HTTP/1.1 200 OK\r\n" in answer
    assert b"whole" in answer


def test_a_value_that_is_not_coded_as_it_seems_is_no_way_in(served: Served, backend: Backend) -> None:
    """A plain string whose bytes look like Huffman code stays what it is."""
    plain = huffman(b"x: 1")
    head = block([STATUS]) + b"\x00" + string(b"x-test") + integer(len(plain), 7) + plain
    answer = exchange(served, backend, headers(1, head))
    assert answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 502 "))
