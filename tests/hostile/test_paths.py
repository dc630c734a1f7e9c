"""Ways to write the path of a protected method so that the gateway sees another one than the backend."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from infra.issuer.keys import jwks
from tests.support.cores import Served, document, serve
from tests.support.frames import block, headers, request
from tests.support.recorder import Recorder
from tests.support.tokens import TokenIssuer
from tests.support.wire import Wire, connect

PROTECTED = "/test.Kinds/Unary"
ISSUER = TokenIssuer()
ACCESS = {"requirements": [{"provider": "staff"}]}
PROVIDER = {"id": "staff", "issuer": ISSUER.url, "audiences": [ISSUER.audience]}


@pytest.fixture(scope="module", params=["method", "route"])
def served(request: pytest.FixtureRequest, recorder: Recorder) -> Iterator[Served]:
    """The method needs a token, by its name or by its route; every other path is open to all."""
    more: dict[str, object] = {"authentication": {"providers": [PROVIDER]}}
    everything = {"name": "all", "backends": [{"name": "app"}]}
    if request.param == "method":
        more["methods"] = [{"name": "test.Kinds.Unary", "access": ACCESS}]
    else:
        guarded = everything | {"name": "guarded", "match": {"path_prefix": PROTECTED}, "access": ACCESS}
        more["routes"] = [guarded, everything]
    with serve(document(recorder.address, **more)) as served:
        served.core.set_keys("staff", json.dumps(jwks(ISSUER.keys)))
        yield served


def as_a_lenient_backend_reads(path: str) -> str:
    """Escapes decoded, `\\` a slash, parameters dropped, slashes merged, dots resolved, no slash at the end."""
    plain = unquote(path.partition("?")[0]).replace("\\", "/")
    segments: list[str] = []
    for segment in re.split("/+", plain):
        name = segment.partition(";")[0]
        if name == "..":
            segments = segments[:-1]
        elif name not in ("", "."):
            segments.append(name)
    return "/" + "/".join(segments)


GAMES = [
    PROTECTED,
    "//test.Kinds/Unary",
    "/test.Kinds//Unary",
    "/./test.Kinds/Unary",
    "/test.Kinds/./Unary",
    "/x/../test.Kinds/Unary",
    "/test.Kinds/x/../Unary",
    "/../test.Kinds/Unary",
    "/test.Kinds/Unary/",
    "/test.Kinds/Unary//",
    "/test.Kinds/Unary/.",
    "/test.Kinds/Unary/x/..",
    "/test.Kinds/Unary;x=1",
    "/test.Kinds;x=1/Unary",
    "/test.Kinds/Unary;",
    "/;x/test.Kinds/Unary",
    "/test.Kinds/Unary?x=1",
    "/test.Kinds/Unary?",
    "/%74est.Kinds/Unary",
    "/test%2eKinds/Unary",
    "/test%2EKinds/Unary",
    "/test.Kinds%2fUnary",
    "/test.Kinds%2FUnary",
    "/test.Kinds%5cUnary",
    "/test.Kinds\\Unary",
    "/x/%2e%2e/test.Kinds/Unary",
    "/x/%2e./test.Kinds/Unary",
    "/x%2f..%2ftest.Kinds/Unary",
    "/x/..%2ftest.Kinds/Unary",
    "/x/..;/test.Kinds/Unary",
    "/x/..;y/test.Kinds/Unary",
    "/%2e/test.Kinds/Unary",
    "/%2ftest.Kinds/Unary",
    "/test.Kinds/Unary%2f",
    "/test.Kinds/Unary%3bx",
    "/test.Kinds/Unary%00",
    "/test.Kinds/Unary%0a",
    "/test.Kinds/Unary%20",
    "/test.Kinds/%55%6e%61%72%79",
    "/%",
    "/test.Kinds/Unary%",
    "/test.Kinds/Unary#x",
]


@pytest.mark.parametrize("grpc", [True, False], ids=["gRPC", "HTTP"])
@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
@pytest.mark.parametrize("path", GAMES)
def test_over_http2(served: Served, recorder: Recorder, path: str, method: str, grpc: bool) -> None:
    before = len(recorder.requests)
    more = [("content-type", "application/grpc"), ("te", "trailers")] if grpc else []
    with Wire.client(served.address) as wire:
        wire.send(headers(1, block(request(*more, method=method, path=path))))
        wire.answer(1)
    for arrived in recorder.requests[before:]:
        assert as_a_lenient_backend_reads(arrived.path) != PROTECTED, arrived.path


@pytest.mark.parametrize("origin", ["", "http://a", "HTTP://A", "https://a", "http://a:80"])
@pytest.mark.parametrize("path", GAMES)
def test_over_http1(served: Served, recorder: Recorder, path: str, origin: str) -> None:
    before = len(recorder.requests)
    host = origin.rpartition("/")[2] or "a"
    with connect(served.address) as client:
        client.sendall(
            f"POST {origin}{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".encode()
        )
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 ")
    for arrived in recorder.requests[before:]:
        assert as_a_lenient_backend_reads(arrived.path) != PROTECTED, arrived.path


@pytest.mark.parametrize("path", [PROTECTED, "//test.Kinds/./%55nary"])
def test_with_a_token_it_is_served_under_its_own_name(served: Served, recorder: Recorder, path: str) -> None:
    """Which shows that the refusals above are for the want of a token."""
    fields = request(
        ("content-type", "application/grpc"), ("authorization", f"Bearer {ISSUER.token()}"), method="POST", path=path
    )
    with Wire.client(served.address) as wire:
        wire.send(headers(1, block(fields)))
        assert wire.answer(1).body == b"recorded"
    assert recorder.requests[-1].path == PROTECTED
    assert recorder.requests[-1].get("x-endpoint-api-userinfo")
