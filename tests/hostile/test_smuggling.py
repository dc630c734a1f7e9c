"""Requests that two parsers read differently: HTTP/1.1 in front, HTTP/2 behind.

Whatever is sent, the backend sees at most the requests that every reader of RFC 9112 sees, and never the one that is
hidden in a body.
"""

from __future__ import annotations

import re

import pytest

from tests.support.cores import Served, document, serve
from tests.support.recorder import Recorder
from tests.support.wire import connect

HIDDEN = b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
POST = b"POST /outer HTTP/1.1\r\nhost: a\r\n"
LENGTH = b"content-length: %d\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
NOTHING = b"0\r\n\r\n"


def exchange(served: Served, sent: bytes) -> bytes:
    """Sends, ends our side of the connection's use with a last request, and reads all there is."""
    with connect(served.address) as client:
        client.sendall(sent)
        received = b""
        while not received.startswith(b"HTTP/1.1 4") and not received.startswith(b"HTTP/1.1 5"):
            part = client.recv(1 << 16)
            if not part:
                return received
            received += part
        while part := client.recv(1 << 16):
            received += part
        return received


def te(value: bytes) -> bytes:
    return POST + b"transfer-encoding: " + value + b"\r\n\r\n" + NOTHING + HIDDEN


def line(text: bytes) -> bytes:
    """A further field line."""
    return POST + text + b"\r\n\r\n" + NOTHING + HIDDEN


def chunk(size: bytes) -> bytes:
    return POST + CHUNKED + b"\r\n" + size + b"abcde\r\n" + NOTHING + HIDDEN


REFUSED = {
    "both lengths": POST + LENGTH % 5 + CHUNKED + b"\r\n" + NOTHING + HIDDEN,
    "both lengths, the other way round": POST + CHUNKED + LENGTH % (5 + len(HIDDEN)) + b"\r\n" + NOTHING + HIDDEN,
    "both lengths, in capitals": POST + b"CONTENT-LENGTH: 5\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n" + NOTHING + HIDDEN,
    "two lengths": POST + LENGTH % 0 + LENGTH % len(HIDDEN) + b"\r\n" + HIDDEN,
    "two lengths in one field": line(b"content-length: 0, %d" % len(HIDDEN)),
    "a length with a sign": line(b"content-length: +5"),
    "a negative length": line(b"content-length: -1"),
    "a hexadecimal length": line(b"content-length: 0x5"),
    "a length of 2^64": line(b"content-length: 18446744073709551616"),
    "an empty length": line(b"content-length: "),
    "a length with a blank inside": line(b"content-length: 1 0"),
    "a length and a comma": line(b"content-length: 5,"),
    "a vertical tab behind chunked": te(b"chunked\x0b"),
    "chunked in quotes": te(b'"chunked"'),
    "chunked twice": te(b"chunked, chunked"),
    "chunked in two fields": line(CHUNKED + b"transfer-encoding: chunked"),
    "identity": te(b"identity"),
    "identity and chunked": te(b"identity, chunked"),
    "chunked and identity": te(b"chunked, identity"),
    "xchunked": te(b"xchunked"),
    "chunked with a parameter": te(b"chunked;q=1"),
    "an empty coding": te(b""),
    "gzip": te(b"gzip"),
    "a coding of HTTP/1.0": b"POST /outer HTTP/1.0\r\nhost: a\r\n" + CHUNKED + b"\r\n" + NOTHING + HIDDEN,
    "a blank before the colon": line(b"transfer-encoding : chunked"),
    "a tab before the colon": line(b"content-length\t: 5"),
    "a folded field": line(b"x: 1\r\n transfer-encoding: chunked"),
    "a folded value": te(b"\r\n chunked"),
    "a blank before the first field": b"POST /outer HTTP/1.1\r\n host: a\r\n" + LENGTH % 5 + b"\r\n" + NOTHING + HIDDEN,
    "a NUL in a name": line(b"transfer\0-encoding: chunked"),
    "a NUL in a value": te(b"chunked\0"),
    "a CR in a value": line(b"x: 1\rtransfer-encoding: chunked"),
    "a line that ends in LF": POST + b"x: 1\ntransfer-encoding: chunked\r\n\r\n" + NOTHING + HIDDEN,
    "a head that ends in LF": POST[:-2] + b"\n" + LENGTH % 0 + b"\n" + HIDDEN,
    "a line without a colon": line(b"transfer-encoding chunked"),
    "an empty name": line(b": chunked"),
    "a name with a slash": line(b"x/y: 1"),
    "a name over 0x7f": line(b"transfer-encod\xefng: chunked"),
    "two hosts": b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n" + HIDDEN,
    "no host": b"GET / HTTP/1.1\r\n\r\n" + HIDDEN,
    "a host with a path": b"GET / HTTP/1.1\r\nhost: a/b\r\n\r\n" + HIDDEN,
    "a host with a user": b"GET / HTTP/1.1\r\nhost: u@a\r\n\r\n" + HIDDEN,
    "two hosts behind a target": b"GET http://b/ HTTP/1.1\r\nhost: b\r\nhost: a\r\n\r\n" + HIDDEN,
    "no host behind a target": b"GET http://b/ HTTP/1.1\r\n\r\n" + HIDDEN,
    "a bad host behind a target": b"GET http://b/ HTTP/1.1\r\nhost: b/c\r\n\r\n" + HIDDEN,
    "a target with a user": b"GET http://u@b/ HTTP/1.1\r\nhost: b\r\n\r\n" + HIDDEN,
    "a target without a host": b"GET http:///b HTTP/1.1\r\nhost: b\r\n\r\n" + HIDDEN,
    "a target with two hosts": b"GET http://a,b@c/ HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN,
    "a target with a fragment": b"GET http://a#.b/ HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN,
    "a target with a backslash": b"GET http://a\\b/ HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN,
    "a target of another scheme": b"GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN,
    "a target without a slash": b"GET smuggled HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN,
    "CONNECT": b"CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n" + HIDDEN,
    "HTTP/0.9": b"GET /\r\n\r\n" + HIDDEN,
    "two blanks": b"GET  / HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN,
    "a tab for a blank": b"GET\t/ HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN,
    "a blank in the target": b"GET /a b HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN,
    "a blank behind the version": b"GET / HTTP/1.1 \r\nhost: a\r\n\r\n" + HIDDEN,
    "a version of letters": b"GET / HTTP/1.x\r\nhost: a\r\n\r\n" + HIDDEN,
    "HTTP/2.0": b"GET / HTTP/2.0\r\nhost: a\r\n\r\n" + HIDDEN,
    "a method with a colon": b"GE:T / HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN,
    "a blank before the method": b" GET / HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN,
    "a hexadecimal size with 0x": chunk(b"0x5\r\n"),
    "a size with a sign": chunk(b"+5\r\n"),
    "a negative size": chunk(b"-5\r\n"),
    "a blank before a size": chunk(b" 5\r\n"),
    "a blank behind a size": chunk(b"5 \r\n"),
    "no size": chunk(b"\r\n"),
    "a size that ends in LF": chunk(b"5\n"),
    "a size that ends in CR": chunk(b"5\r"),
    "an extension with LF": chunk(b"5;x\n"),
    "a size of 2^64 and 5": chunk(b"10000000000000005\r\n"),
    "a size of 2^64-1": chunk(b"ffffffffffffffff\r\n"),
    "a chunk that is too long": POST + CHUNKED + b"\r\n4\r\nabcde\r\n" + NOTHING + HIDDEN,
    "a chunk that is too short": POST + CHUNKED + b"\r\n6\r\nabcde\r\n" + NOTHING + HIDDEN,
    "a chunk that ends in LF": POST + CHUNKED + b"\r\n5\r\nabcde\n" + NOTHING + HIDDEN,
    "content-length in the trailers": POST + CHUNKED + b"\r\n0\r\ncontent-length: 5\r\n\r\n" + HIDDEN,
    "transfer-encoding in the trailers": POST + CHUNKED + b"\r\n0\r\ntransfer-encoding: chunked\r\n\r\n" + HIDDEN,
    "host in the trailers": POST + CHUNKED + b"\r\n0\r\nhost: b\r\n\r\n" + HIDDEN,
    "a trailer that ends in LF": POST + CHUNKED + b"\r\n0\r\nx: 1\n\r\n" + HIDDEN,
    "an unknown expectation": line(b"expect: 200-ok"),
    "the preface of HTTP/2 behind a request": b"GET / HTTP/1.1\r\nhost: a\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED)
def test_what_could_be_read_in_two_ways_is_refused(served: Served, recorder: Recorder, sent: bytes) -> None:
    before = len(recorder.requests)
    answer = exchange(served, sent)
    arrived = recorder.requests[before:]
    assert "/smuggled" not in [request.path for request in arrived]
    assert not [request for request in arrived if request.ended and request.path == "/outer"]
    statuses = re.findall(rb"HTTP/1\.1 (\d)\d\d ", answer)
    assert statuses[-1] in (b"4", b"5")
    assert b"connection: close" in answer
    assert recorder.faults == []


ONE = {
    "a body of a length": POST + LENGTH % len(HIDDEN) + b"\r\n" + HIDDEN,
    "a body in a chunk": POST + CHUNKED + b"\r\n%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n" + NOTHING,
    "a chunk with zeroes before its size": POST + CHUNKED + b"\r\n00%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n" + NOTHING,
    "a chunk with an extension": POST + CHUNKED + b'\r\n%x;x="y"\r\n' % len(HIDDEN) + HIDDEN + b"\r\n" + NOTHING,
    "chunked in capitals": POST
    + b"Transfer-Encoding: CHUNKED\r\n\r\n%x\r\n" % len(HIDDEN)
    + HIDDEN
    + b"\r\n"
    + NOTHING,
    "an underscore": POST + LENGTH % len(HIDDEN) + b"transfer_encoding: chunked\r\n\r\n" + HIDDEN,
    "a length that connection names": POST + LENGTH % len(HIDDEN) + b"connection: content-length\r\n\r\n" + HIDDEN,
    "a coding that connection names": POST
    + CHUNKED
    + b"connection: transfer-encoding\r\n\r\n%x\r\n" % len(HIDDEN)
    + HIDDEN
    + b"\r\n"
    + NOTHING,
    "an upgrade to h2c": POST + LENGTH % len(HIDDEN) + b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\n"
    b"http2-settings: AAMAAABkAAQAAP__\r\n\r\n" + HIDDEN,
    "GET with a body": b"GET /outer HTTP/1.1\r\nhost: a\r\n" + LENGTH % len(HIDDEN) + b"\r\n" + HIDDEN,
}


@pytest.mark.parametrize("sent", ONE.values(), ids=ONE)
def test_a_request_within_a_body_stays_a_body(served: Served, recorder: Recorder, sent: bytes) -> None:
    """And what follows is the next request, neither more nor less."""
    before = len(recorder.requests)
    answer = exchange(served, sent + b"GET /next HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == 2
    arrived = recorder.requests[before:]
    assert [request.path for request in arrived] == ["/outer", "/next"]
    assert arrived[0].body == HIDDEN
    forbidden = {"transfer-encoding", "connection", "upgrade", "http2-settings", "keep-alive", "host"}
    assert not forbidden & {name for request in arrived for name, _ in request.headers}


def test_pipelined_requests_are_answered_in_order(served: Served, recorder: Recorder) -> None:
    before = len(recorder.requests)
    sent = b"".join(b"GET /%d HTTP/1.1\r\nhost: a\r\n\r\n" % number for number in range(50))
    answer = exchange(served, sent + b"GET /last HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n" + HIDDEN)
    assert answer.count(b"HTTP/1.1 200 ") == 51
    assert [request.path for request in recorder.requests[before:]] == [
        *(f"/{number}" for number in range(50)),
        "/last",
    ]


def test_a_request_behind_an_answer_that_came_early_is_not_read(recorder: Recorder) -> None:
    """401, 404 or 413 before the body has come: what follows may be the body, so the connection ends."""
    document_of = document(recorder.address, unknown_methods="reject", methods=[{"name": "test.Kinds.Unary"}])
    before = len(recorder.requests)
    with serve(document_of) as served:
        answer = exchange(served, POST + LENGTH % 1000 + b"\r\n" + HIDDEN)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert recorder.requests[before:] == []


@pytest.mark.parametrize("routed", [False, True], ids=["plain", "routed"])
@pytest.mark.parametrize("host", [b"closed.test", b"open.test", b"OPEN.test:80", b"x"])
def test_the_host_behind_an_absolute_target_counts_nowhere(recorder: Recorder, host: bytes, routed: bool) -> None:
    """RFC 9112, section 3.2.2: route, authentication and backend go by what the target names."""
    everything = {"name": "all", "backends": [{"name": "app"}]}
    closed = {"name": "closed", "match": {"authorities": ["closed.test"]}, "access": {"deny": [403, "closed"]}}
    routes = [everything | closed, everything] if routed else [everything]
    with serve(document(recorder.address, routes=routes)) as served:
        for target, authority in ((b"open.test", "open.test"), (b"open.test:81", "open.test:81")):
            before = len(recorder.requests)
            sent = b"GET http://%s//x/../y?z HTTP/1.1\r\nhost: %s\r\nx-a: 1\r\n" % (target, host)
            answer = exchange(served, sent + b"connection: close, host\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 ")
            (arrived,) = recorder.requests[before:]
            assert [value for name, value in arrived.headers if name in (":authority", "host")] == [authority]
        if routed:
            before = len(recorder.requests)
            for target in (b"closed.test", b"CLOSED.test:80", b"closed.test."):
                answer = exchange(served, b"GET http://%s/ HTTP/1.1\r\nhost: %s\r\n\r\n" % (target, host) + b"\0")
                assert answer.startswith(b"HTTP/1.1 403 "), target
            assert recorder.requests[before:] == []
