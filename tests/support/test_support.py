"""The helpers themselves: a test that trusts a broken one shows nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import grpc
import jwt
import pytest

from tests.support.backends import COUNT_KEY, NAME_HEADER, SERVICE, STATUS_KEY, GrpcBackend
from tests.support.certificates import Authority
from tests.support.tokens import TokenIssuer


def test_a_backend_serves_all_kinds_of_calls_and_records_them() -> None:
    with GrpcBackend("a") as backend, grpc.insecure_channel(backend.address) as channel:
        unary: Any = channel.unary_unary(f"/{SERVICE}/Unary")
        answer, calling = unary.with_call(b"x", metadata=[("key", "value")], timeout=30)
        assert answer == b"x"
        assert (NAME_HEADER, "a") in [tuple(pair) for pair in calling.initial_metadata()]
        server_stream: Any = channel.unary_stream(f"/{SERVICE}/ServerStream")
        assert list(server_stream(b"y", metadata=[(COUNT_KEY, "2")])) == [b"y", b"y"]
        client_stream: Any = channel.stream_unary(f"/{SERVICE}/ClientStream")
        assert client_stream(iter([b"1", b"2"])) == b"12"
        bidi: Any = channel.stream_stream(f"/{SERVICE}/Bidi")
        assert list(bidi(iter([b"1", b"2"]))) == [b"1", b"2"]
        with pytest.raises(grpc.RpcError) as caught:
            unary(b"", metadata=[(STATUS_KEY, "8")])
        error: Any = caught.value
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert [call.method for call in backend.calls] == ["Unary", "ServerStream", "ClientStream", "Bidi", "Unary"]
    assert backend.calls[0].metadata["key"] == "value"
    assert backend.calls[0].seconds is not None


def test_an_authority_issues_what_clients_trust(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = authority.issue("service.test")
    credentials = grpc.ssl_server_credentials([(files.key.read_bytes(), files.chain.read_bytes())])
    trust = grpc.ssl_channel_credentials(authority.ca.read_bytes())
    with GrpcBackend(credentials=credentials) as backend:
        options = [("grpc.ssl_target_name_override", "service.test")]
        with grpc.secure_channel(backend.address, trust, options) as channel:
            call: Any = channel.unary_unary(f"/{SERVICE}/Unary")
            assert call(b"safe", timeout=30) == b"safe"


def test_an_issuer_counts_fetches_fails_and_rotates() -> None:
    with TokenIssuer("ES256") as issuer:
        before = json.load(urlopen(issuer.jwks_uri, timeout=30))
        old = issuer.token(role="admin")
        issuer.rotate()
        after = json.load(urlopen(issuer.jwks_uri, timeout=30))
        assert issuer.fetches == 2
        issuer.failing = True
        with pytest.raises(HTTPError, match="503") as caught:
            urlopen(issuer.jwks_uri, timeout=30)
        caught.value.close()
    key = jwt.PyJWK(before["keys"][0])
    assert jwt.decode(old, key, ["ES256"], audience=issuer.audience, issuer=issuer.url)["role"] == "admin"
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(old, jwt.PyJWK(after["keys"][0]), ["ES256"], audience=issuer.audience)
