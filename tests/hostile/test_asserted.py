"""Header fields that only the gateway may assert, as clients try to get them past it."""

from __future__ import annotations

import pytest

from tests.support.cores import Served
from tests.support.frames import block, headers, indexed, literal, request
from tests.support.recorder import Recorded, Recorder
from tests.support.wire import Wire, connect

NAMES = [
    "x-endpoint-api-userinfo",
    "x_endpoint_api_userinfo",
    "x-endpoint_api-userinfo",
    "x-endpoint-api-anything",
    "x_endpoint_api_",
    "x-forwarded-client-cert",
    "x_forwarded_client_cert",
    "x-forwarded_client-cert",
]
FORGED = "eyJzdWIiOiJhZG1pbiJ9"


def http1(served: Served, lines: str, trailers: str = "") -> None:
    body = f"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n{trailers}\r\n"
    with connect(served.address) as client:
        client.sendall(f"POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{lines}{body}".encode())
        assert b"".join(iter(lambda: client.recv(1 << 16), b"")).startswith(b"HTTP/1.1 200 ")


def forged(arrived: Recorded) -> list[tuple[str, str]]:
    return [pair for pair in arrived.headers + arrived.trailers if FORGED in pair[1]]


@pytest.mark.parametrize("spelling", [str.lower, str.upper, str.title])
@pytest.mark.parametrize("name", NAMES)
def test_over_http1(served: Served, recorder: Recorder, name: str, spelling: type[str]) -> None:
    spelt = spelling(name)
    line = f"{spelt}: {FORGED}\r\n"
    http1(served, line * 2 + f"x-other: 1\r\n{spelt}:{FORGED}\r\n", line)
    assert forged(recorder.requests[-1]) == []
    assert recorder.requests[-1].get("x-other") == "1"


@pytest.mark.parametrize("first", [0x00, 0x10, 0x40], ids=["literal", "never indexed", "indexed"])
@pytest.mark.parametrize("coded", [False, True], ids=["plain", "coded"])
@pytest.mark.parametrize("name", NAMES)
def test_over_http2(served: Served, recorder: Recorder, name: str, coded: bool, first: int) -> None:
    field = literal(name.encode(), FORGED.encode(), first, coded=coded)
    with Wire.client(served.address) as wire:
        wire.send(headers(1, block(request(method="POST")) + field * 2, end=False), headers(1, field))
        assert wire.answer(1).status == 200
        assert forged(recorder.requests[-1]) == []
        by_index = (indexed(62), literal(62, FORGED.encode())) if first == 0x40 else ()
        wire.send(headers(3, block(request()) + b"".join(by_index)))
        assert wire.answer(3).status == 200
    assert forged(recorder.requests[-1]) == []


def test_the_scheme_that_a_client_claims_is_ours(served: Served, recorder: Recorder) -> None:
    claims = [("x-forwarded-proto", "https"), ("x_forwarded_proto", "https"), ("x-forwarded-proto", "https")]
    http1(served, "".join(f"{name}: {value}\r\n" for name, value in claims))
    with Wire.client(served.address) as wire:
        wire.send(headers(1, block(request(*claims))))
        assert wire.answer(1).status == 200
    for arrived in recorder.requests[-2:]:
        assert [pair for pair in arrived.headers if "proto" in pair[0]] == [("x-forwarded-proto", "http")]


def test_the_peers_address_stands_last_in_the_chain(served: Served, recorder: Recorder) -> None:
    claims = [("x-forwarded-for", "10.0.0.1"), ("x_forwarded_for", "10.0.0.2"), ("x-forwarded-for", "10.0.0.3")]
    http1(served, "".join(f"{name}: {value}\r\n" for name, value in claims))
    with Wire.client(served.address) as wire:
        wire.send(headers(1, block(request(*claims))))
        assert wire.answer(1).status == 200
    for arrived in recorder.requests[-2:]:
        chain = [value for name, value in arrived.headers if name.replace("_", "-") == "x-forwarded-for"]
        assert ", ".join(chain) == "10.0.0.1, 10.0.0.3, 127.0.0.1"


@pytest.mark.parametrize(
    "name", ["x-forwarded-for", "x-forwarded-proto", "x-request-id", "traceparent", "authorization"]
)
def test_a_client_cannot_have_a_field_removed_that_says_who_it_is(
    served: Served, recorder: Recorder, name: str
) -> None:
    http1(served, f"connection: {name}\r\n{name}: before\r\n")
    assert recorder.requests[-1].get(name)


def test_one_request_id_arrives(served: Served, recorder: Recorder) -> None:
    http1(served, "x-request-id: one\r\nx-request-id: two\r\n")
    assert len([name for name, _ in recorder.requests[-1].headers if name == "x-request-id"]) == 1


@pytest.mark.parametrize(
    "name",
    [
        "x-forwarded-for",
        "x-forwarded-proto",
        "authorization",
        "cookie",
        "grpc-timeout",
        "te",
        "content-length",
        "host",
        "x-goog-iap-jwt-assertion",
        "x-request-id",
        "expect",
    ],
)
def test_trailers_carry_nothing_that_a_backend_would_act_on(served: Served, recorder: Recorder, name: str) -> None:
    """RFC 9110, section 6.5.1: over both protocols alike."""
    with Wire.client(served.address) as wire:
        wire.send(
            headers(1, block(request(method="POST")), end=False), headers(1, block([(name, "1"), ("x-sum", "2")]))
        )
        answer = wire.answer(1)
    if answer.status == 200:
        assert recorder.requests[-1].trailers == [("x-sum", "2")]
