"""Tokens that are too large, malformed or forged: refused with a status, never served, never a crash."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from infra.issuer.keys import jwks
from tests.support.cores import Served, document, serve
from tests.support.frames import block, headers, literal, request
from tests.support.recorder import Recorder
from tests.support.tokens import TokenIssuer
from tests.support.wire import Wire

ISSUER = TokenIssuer("RS256", "ES256")
GOOD = ISSUER.token()
HEAD, PAYLOAD, SIGNATURE = GOOD.split(".")


def coded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(segment: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(segment + "=="))
    return found


def payload(value: Any) -> str:
    return f"{HEAD}.{coded(value)}.{SIGNATURE}"


def claims(**changes: Any) -> str:
    """A token whose claims were changed behind its signature."""
    return f"{HEAD}.{coded(decoded(PAYLOAD) | changes)}.{SIGNATURE}"


def header(**changes: Any) -> str:
    return f"{coded(decoded(HEAD) | changes)}.{PAYLOAD}.{SIGNATURE}"


ES256 = coded({"alg": "ES256", "kid": ISSUER.keys[1].key_id})

OBJECTS = b'{"a":' * 8_000
TWICE = b'{"iss":"a","iss":"b"}'
HUGE_EXPIRY = b'{"iss":"' + ISSUER.url.encode() + b'","exp":1e400}'
BAD = {
    "empty segments": "..",
    "one segment": HEAD,
    "two segments": f"{HEAD}.{PAYLOAD}",
    "four segments": f"{GOOD}.{SIGNATURE}",
    "five segments": f"{HEAD}..{PAYLOAD}.{SIGNATURE}.x",
    "no signature": f"{HEAD}.{PAYLOAD}.",
    "a signature cut short": GOOD[:-8],
    "a signature with more": GOOD + "AAAA",
    "padding": GOOD + "==",
    "a letter of another alphabet": f"{HEAD}.{PAYLOAD}.{SIGNATURE[:-1]}+",
    "a blank inside": f"{HEAD}. {PAYLOAD}.{SIGNATURE}",
    "a comma and another": f"{GOOD}, {GOOD}",
    "no JSON": f"{coded(b'x')}.{PAYLOAD}.{SIGNATURE}",
    "a list": f"{HEAD}.{coded([])}.{SIGNATURE}",
    "no UTF-8": f"{HEAD}.{coded(bytes([0xFF, 0xFE]))}.{SIGNATURE}",
    "JSON of great depth": payload(b"[" * 10_000),
    "an object of great depth": payload(b'{"a":' * 2_000),
    "a member twice": payload(b'{"iss":"a","iss":"b"}'),
    "large": payload({"iss": ISSUER.url, "x": "y" * 11_000}),
    "alg none": f"{coded({'alg': 'none'})}.{PAYLOAD}.",
    "alg NONE with a signature": header(alg="NONE"),
    "alg HS256": header(alg="HS256"),
    "alg of another kind of key": header(alg="ES256"),
    "no alg": f"{coded({'kid': ISSUER.keys[0].key_id})}.{PAYLOAD}.{SIGNATURE}",
    "alg a number": header(alg=256),
    "crit": header(crit=["exp"], exp=1),
    "a key of its own": header(jwk={"kty": "oct", "k": "AA"}),
    "a large kid": header(kid="k" * 10_000),
    "a kid with a path": header(kid="../../etc/passwd"),
    "other claims": claims(sub="admin"),
    "exp as a string": claims(exp="never"),
    "exp of 1e400": payload(b'{"iss":"' + ISSUER.url.encode() + b'","exp":1e400}'),
    "a negative exp": claims(exp=-1),
    "iss a list": claims(iss=[ISSUER.url]),
    "aud an object": claims(aud={}),
    "a signature of zeroes (CVE-2022-21449)": f"{ES256}.{PAYLOAD}.{coded(bytes(64))}",
    "an empty ES256 signature": f"{ES256}.{PAYLOAD}.",
    "expired": ISSUER.token("expired"),
    "not yet valid": ISSUER.token("not-yet-valid"),
    "for somebody else": ISSUER.token("wrong-audience"),
    "of another key": ISSUER.token("wrong-key"),
}


@pytest.fixture(scope="module")
def served(recorder: Recorder) -> Iterator[Served]:
    provider = {"id": "staff", "issuer": ISSUER.url, "audiences": [ISSUER.audience]}
    access = {"requirements": [{"provider": "staff"}]}
    changes: dict[str, Any] = {
        "authentication": {"providers": [provider], "hold_timeout_ms": 200},
        "methods": [{"name": "test.Kinds.Unary", "access": access}],
    }
    with serve(document(recorder.address, **changes)) as served:
        served.core.set_keys("staff", json.dumps(jwks(ISSUER.keys)))
        yield served


CALL = request(("content-type", "application/grpc"), ("te", "trailers"), method="POST", path="/test.Kinds/Unary")


def status(served: Served, more: bytes) -> str | None:
    """The grpc-status of a call with these header fields; None when the backend has answered."""
    with Wire.client(served.address) as wire:
        wire.send(headers(1, block(CALL) + more))
        return wire.answer(1).headers.get("grpc-status")


@pytest.mark.parametrize("token", BAD.values(), ids=BAD)
def test_a_bad_token_is_refused(served: Served, recorder: Recorder, token: str) -> None:
    before = len(recorder.requests)
    assert status(served, block([("authorization", f"Bearer {token}")])) in ("16", "7")
    assert len(recorder.requests) == before
    assert status(served, block([("authorization", f"Bearer {GOOD}")])) is None


def test_a_token_over_the_limit_of_header_fields_is_refused(served: Served, recorder: Recorder) -> None:
    before = len(recorder.requests)
    large = literal(b"authorization", b"Bearer " + b"a" * 15_000) * 5
    with Wire.client(served.address) as wire:
        wire.send(headers(1, block(CALL), flags=0))
        for at in range(0, len(large), 16_000):
            wire.send(
                b"".join(
                    [
                        len(large[at : at + 16_000]).to_bytes(3, "big"),
                        b"\x09",
                        bytes([4 if at + 16_000 >= len(large) else 0]),
                        b"\0\0\0\x01",
                        large[at : at + 16_000],
                    ]
                )
            )
        assert wire.answer(1).headers["grpc-status"] == "8"
    assert len(recorder.requests) == before


@pytest.mark.parametrize("coded", [True, False], ids=["coded", "plain"])
@pytest.mark.parametrize("other", ["Basic eDp5", f"Bearer {GOOD[:-6]}AAAAAA", ""])
@pytest.mark.parametrize("good_first", [True, False])
def test_two_credentials_that_differ_are_refused(served: Served, other: str, good_first: bool, coded: bool) -> None:
    """A backend may read either."""
    both = [f"Bearer {GOOD}", other]
    fields = [literal(23, value.encode(), coded=coded) for value in (both if good_first else both[::-1])]
    assert status(served, b"".join(fields)) == "16"


@pytest.mark.parametrize("coded", [True, False], ids=["coded", "plain"])
def test_what_stands_beside_a_good_token_does_not_hide_it(served: Served, coded: bool) -> None:
    good = literal(23, f"Bearer {GOOD}".encode(), coded=coded)
    assert status(served, literal(49, b"Basic eDp5eHl4eXh5eHl4eQ==", coded=coded) + good) is None
    assert status(served, good + good) is None
