"""Tokens, from the client's request to what the backend learns."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from infra.issuer.keys import jwks
from tests.gateway.backends import Backend, Client, failure
from tests.gateway.core import Serving, document, until
from tests.gateway.raw import http1
from tests.support.tokens import TokenIssuer

MISSING = "Jwt is missing"
FETCH_FAILED = "Jwks remote fetch is failed"


@pytest.fixture
def issuer() -> TokenIssuer:
    return TokenIssuer()


def guarded(app: Backend, issuer: TokenIssuer, **fields: Any) -> dict[str, Any]:
    """A snapshot in which every call needs a token of `issuer`; `fields` go into `authentication` or `access`."""
    provider = {
        "id": "staff",
        "issuer": issuer.url,
        "audiences": [issuer.audience],
        "locations": fields.pop("locations", []),
    }
    access = {"requirements": [{"provider": "staff"}], **fields.pop("access", {})}
    route = {"name": "all", "backends": [{"name": "app"}], "access": access}
    return document(app.address, routes=[route], authentication={"providers": [provider], **fields})


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


def keys(issuer: TokenIssuer) -> str:
    return json.dumps(jwks(issuer.keys))


async def test_what_clients_are_told(issuer: TokenIssuer) -> None:
    stranger = TokenIssuer()
    cases = [
        (None, 401, MISSING),
        ("not.a.token.at.all", 401, "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"),
        (issuer.token("expired"), 401, "Jwt is expired"),
        (issuer.token(audiences=("https://other",)), 403, "Audiences in Jwt are not allowed"),
        (stranger.token(), 401, "Jwt issuer is not configured"),
        (issuer.token()[:-8] + "AAAAAAAA", 401, "Jwt verification fails"),
        (issuer.token(), 200, ""),
    ]
    async with Backend() as app:
        with Serving(guarded(app, issuer)) as serving:
            assert serving.core.set_keys("staff", keys(issuer)) == 1
            async with Client(serving.address) as client, await http1(serving.place) as plain:
                for token, status, said in cases:
                    metadata = [] if token is None else bearer(token)
                    call = client.unary(b"x", metadata=metadata, timeout=30)
                    if status == 200:
                        assert await call == b"x"
                        continue
                    error = await failure(call)
                    code = {401: grpc.StatusCode.UNAUTHENTICATED, 403: grpc.StatusCode.PERMISSION_DENIED}[status]
                    assert (error.code(), error.details()) == (code, said)
                    fields = () if token is None else (f"authorization: Bearer {token}",)
                    answer = await plain.get("/v1/x?y=z", *fields)
                    assert (answer.status, json.loads(answer.body)) == (status, {"code": status, "message": said})
                    if status == 401:
                        challenge = 'Bearer realm="http://gate.test/v1/x"'
                        challenge += "" if token is None else ', error="invalid_token"'
                        assert answer.fields["www-authenticate"] == challenge
            assert len(app.calls) == 1


@pytest.mark.parametrize("version", ["espv1", "espv2"])
async def test_the_backend_learns_who_called(issuer: TokenIssuer, version: str) -> None:
    token = issuer.token(email="alice@example.test")
    async with Backend() as app:
        with Serving(guarded(app, issuer, userinfo_format=version)) as serving:
            serving.core.set_keys("staff", keys(issuer))
            async with Client(serving.address) as client:
                forged = [("x-endpoint-api-userinfo", "forged"), ("x_endpoint_api_userinfo", "forged")]
                for _ in range(2):
                    await client.unary(b"", metadata=[*bearer(token), *forged], timeout=30)
        for call in app.calls:
            value = str(call.value("x-endpoint-api-userinfo"))
            assert not call.values("x_endpoint_api_userinfo")
            assert call.value("authorization") == f"Bearer {token}"
            if version == "espv2":
                assert value == token.split(".")[1]
                continue
            said = json.loads(base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)))
            assert (said["issuer"], said["id"], said["email"]) == (issuer.url, "alice", "alice@example.test")
            assert said["audiences"] == [issuer.audience]
            claims = said["claims"]
            assert (json.loads(claims) if isinstance(claims, str) else claims)["sub"] == "alice"


async def test_requests_wait_for_keys_that_are_not_fetched_yet(issuer: TokenIssuer) -> None:
    async with Backend() as app:
        with Serving(guarded(app, issuer)) as serving:
            async with Client(serving.address) as client:
                calls = [client.unary(bytes(100_000), metadata=bearer(issuer.token()), timeout=30) for _ in range(20)]
                await serving.until("requests_held_total", 20)
                assert [event["provider"] for event in serving.events("keys-wanted")] == ["staff"]
                serving.core.set_keys("staff", keys(issuer))
                assert await asyncio.gather(*calls) == [bytes(100_000)] * 20
            await serving.idle()


async def test_a_deadline_is_shortened_by_the_wait(issuer: TokenIssuer) -> None:
    async with Backend() as app:
        with Serving(guarded(app, issuer)) as serving:
            async with Client(serving.address) as client:
                call = client.unary(b"", metadata=bearer(issuer.token()), timeout=20)
                await serving.until("requests_held_total", 1)
                await asyncio.sleep(1.5)
                serving.core.set_keys("staff", keys(issuer))
                await call
                assert app.calls[0].seconds is not None
                # grpcio tells the time that is left to within a tenth of a second.
                assert app.calls[0].seconds <= 19.0


async def test_requests_are_decided_when_the_fetch_fails_or_takes_too_long(issuer: TokenIssuer) -> None:
    async with Backend() as app:
        with Serving(guarded(app, issuer)) as serving:
            async with Client(serving.address) as client:
                call = client.unary(b"", metadata=bearer(issuer.token()), timeout=30)
                await serving.until("requests_held_total", 1)
                serving.core.fail_keys("staff")
                error = await failure(call)
                assert (error.code(), error.details()) == (grpc.StatusCode.UNAUTHENTICATED, FETCH_FAILED)
        with Serving(guarded(app, issuer, hold_timeout_ms=200)) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.unary(b"", metadata=bearer(issuer.token()), timeout=30))
                assert (error.code(), error.details()) == (grpc.StatusCode.UNAUTHENTICATED, FETCH_FAILED)
                assert serving.number("requests_held_total") == 1
        with Serving(guarded(app, issuer, max_held=2)) as serving:
            async with Client(serving.address) as client:
                calls = [client.unary(b"", metadata=bearer(issuer.token()), timeout=30) for _ in range(3)]
                failing = [asyncio.ensure_future(failure(call)) for call in calls]
                done, rest = await asyncio.wait(failing, return_when=asyncio.FIRST_COMPLETED)
                assert done.pop().result().code() == grpc.StatusCode.UNAUTHENTICATED
                assert len(rest) == 2
                serving.core.fail_keys("staff")
                await asyncio.gather(*rest)
            await serving.idle()
        assert app.calls == []


async def test_a_client_that_leaves_is_not_held(issuer: TokenIssuer) -> None:
    async with Backend() as app:
        with Serving(guarded(app, issuer)) as serving:
            async with Client(serving.address) as client:
                call = client.unary(b"", metadata=bearer(issuer.token()), timeout=30)
                await serving.until("requests_held_total", 1)
                call.cancel()
                await serving.idle()
            serving.core.set_keys("staff", keys(issuer))
            assert app.calls == []


async def test_keys_are_rotated(issuer: TokenIssuer) -> None:
    async with Backend() as app:
        with Serving(guarded(app, issuer)) as serving:
            serving.core.set_keys("staff", keys(issuer))
            serving.events("keys-wanted")
            async with Client(serving.address) as client:
                former = issuer.token()
                assert await client.unary(b"", metadata=bearer(former), timeout=30) == b""
                issuer.rotate()
                calls = [client.unary(b"", metadata=bearer(issuer.token()), timeout=30) for _ in range(5)]
                (event,) = await until("the event", lambda: serving.events("keys-wanted"))
                assert (event["provider"], event["kid"]) == ("staff", jwks(issuer.keys)["keys"][0]["kid"])
                await serving.until("requests_held_total", 5)
                serving.core.set_keys("staff", keys(issuer))
                await asyncio.gather(*calls)
                assert serving.events("keys-wanted") == []
                error = await failure(client.unary(b"", metadata=bearer(former), timeout=30))
                assert error.code() == grpc.StatusCode.UNAUTHENTICATED


async def test_unknown_keys_are_asked_for_once(issuer: TokenIssuer) -> None:
    forger = TokenIssuer()
    forger.url = issuer.url
    async with Backend() as app:
        with Serving(guarded(app, issuer)) as serving:
            serving.core.set_keys("staff", keys(issuer))
            serving.events("keys-wanted")
            async with Client(serving.address) as client:
                first = client.unary(b"", metadata=bearer(forger.token()), timeout=30)
                await until("the event", lambda: serving.events("keys-wanted"))
                serving.core.set_keys("staff", keys(issuer))
                assert (await failure(first)).code() == grpc.StatusCode.UNAUTHENTICATED
                for _ in range(10):
                    error = await failure(client.unary(b"", metadata=bearer(forger.token()), timeout=30))
                    assert error.code() == grpc.StatusCode.UNAUTHENTICATED
                assert serving.events("keys-wanted") == []


async def test_where_tokens_may_stand(issuer: TokenIssuer) -> None:
    token = issuer.token()
    locations = [
        {"query": {"name": "jwt"}},
        {"cookie": {"name": "session"}},
        {"header": {"name": "x-token", "prefix": "Token "}},
    ]
    async with Backend() as app:
        with Serving(guarded(app, issuer, locations=locations)) as serving:
            serving.core.set_keys("staff", keys(issuer))
            async with Client(serving.address) as client:
                for metadata in ([("cookie", f"a=b; session={token}")], [("x-token", f"Token {token}")]):
                    assert await client.unary(b"x", metadata=metadata, timeout=30) == b"x"
                for metadata in ([("cookie", f"sessions={token}")], [("x-token", token)], bearer(token)):
                    error = await failure(client.unary(b"x", metadata=metadata, timeout=30))
                    assert error.details() == MISSING
            async with await http1(serving.place) as plain:
                assert (await plain.get("/x")).status == 401
                assert (await plain.get(f"/x?a=b&jwt={token}")).status != 401
        with Serving(guarded(app, issuer)) as serving:
            serving.core.set_keys("staff", keys(issuer))
            async with await http1(serving.place) as plain:
                assert (await plain.get(f"/x?access_token={token}")).status != 401
            async with Client(serving.address) as client:
                assert await client.unary(b"x", metadata=[("x-goog-iap-jwt-assertion", token)], timeout=30) == b"x"


async def test_a_token_that_may_be_absent_must_be_good_when_it_is_there(issuer: TokenIssuer) -> None:
    async with Backend() as app:
        with Serving(guarded(app, issuer, access={"allow_without_credential": True})) as serving:
            serving.core.set_keys("staff", keys(issuer))
            async with Client(serving.address) as client:
                assert await client.unary(b"x", metadata=[("x-endpoint-api-userinfo", "forged")], timeout=30) == b"x"
                assert not app.calls[-1].values("x-endpoint-api-userinfo")
                assert await client.unary(b"x", metadata=bearer(issuer.token()), timeout=30) == b"x"
                assert app.calls[-1].values("x-endpoint-api-userinfo")
                error = await failure(client.unary(b"x", metadata=bearer(issuer.token("expired")), timeout=30))
                assert error.details() == "Jwt is expired"


async def test_denied_to_everybody(issuer: TokenIssuer) -> None:
    said = "UNAUTHENTICATED: Method doesn't allow unregistered callers"
    async with Backend() as app:
        with Serving(guarded(app, issuer, access={"requirements": [], "deny": [401, said]})) as serving:
            async with Client(serving.address) as client:
                error = await failure(client.unary(b"x", metadata=bearer(issuer.token()), timeout=30))
                assert (error.code(), error.details()) == (grpc.StatusCode.UNAUTHENTICATED, said)


async def test_keys_survive_a_new_snapshot_and_can_be_dropped(issuer: TokenIssuer) -> None:
    async with Backend() as app:
        with Serving(guarded(app, issuer, hold_timeout_ms=200)) as serving:
            serving.core.set_keys("staff", keys(issuer))
            async with Client(serving.address) as client:
                serving.apply(version="2")
                assert await client.unary(b"x", metadata=bearer(issuer.token()), timeout=30) == b"x"
                serving.core.drop_keys("staff")
                error = await failure(client.unary(b"x", metadata=bearer(issuer.token()), timeout=30))
                assert error.code() == grpc.StatusCode.UNAUTHENTICATED
            with pytest.raises(KeyError):
                serving.core.set_keys("unknown", keys(issuer))
            with pytest.raises(ValueError, match=r"."):
                serving.core.set_keys("staff", "no document")


async def test_the_access_log_names_the_issuer_of_a_verified_token(tmp_path: Path) -> None:
    issuer = TokenIssuer()
    issuer.url = 'https://issuer.test/"\n' + "x" * 1000
    path = tmp_path / "access.log"
    async with Backend() as app:
        with Serving({**guarded(app, issuer), "access_log": {"path": str(path)}}) as serving:
            serving.core.set_keys("staff", keys(issuer))
            async with Client(serving.address) as client:
                await client.unary(b"", metadata=bearer(issuer.token()), timeout=30)
                await failure(client.unary(b"", metadata=bearer(issuer.token("expired")), timeout=30))
            lines = await until("two lines", lambda: path.exists() and path.read_text().splitlines()[1:] and path)
    served, refused = map(json.loads, lines.read_text().splitlines())
    assert served["jwtIssuer"] == issuer.url[:256]
    assert refused["reason"] == "jwt-expired"
    assert "jwtIssuer" not in refused
