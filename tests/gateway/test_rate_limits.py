"""Rate limits: who is told apart, how many pass, and what the others are told. Nothing refills while a test runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from infra.issuer.keys import jwks
from tests.gateway.backends import SERVICE, Backend, Client
from tests.gateway.core import Serving, document, route
from tests.gateway.raw import http1
from tests.support.tokens import TokenIssuer

HOUR = 3_600_000
OK, EXHAUSTED = grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED

Metadata = list[tuple[str, str]]


def limit(name: str = "few", burst: int = 3, **fields: Any) -> dict[str, Any]:
    return {"name": name, "requests": 1, "period_ms": HOUR, "burst": burst, **fields}


def limited(app: Backend, *limits: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Every request has to pass all of the limits."""
    names = [known["name"] for known in limits]
    routes = [route(rate_limits=names, **fields.pop("route", {}))]
    return document(app.address, routes=routes, rate_limits=list(limits), **fields)


async def codes(client: Client, calls: int, metadata: Metadata | None = None) -> list[grpc.StatusCode]:
    started = [client.unary(b"", metadata=metadata, timeout=30) for _ in range(calls)]
    return [await call.code() for call in started]


async def passed(client: Client, calls: int, metadata: Metadata | None = None) -> int:
    ended = await codes(client, calls, metadata)
    assert set(ended) <= {OK, EXHAUSTED}
    return ended.count(OK)


async def test_what_clients_are_told(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    async with Backend() as app:
        slow = {**limit("slow", burst=1), "period_ms": 30_000}
        given = limited(app, limit("few", burst=2), access_log={"path": str(log)})
        with Serving(given) as serving:
            async with Client(serving.address) as client, await http1(serving.place) as plain:
                assert await passed(client, 3) == 2
                call = client.unary(b"", timeout=30)
                assert await call.code() is EXHAUSTED
                assert await call.details() == 'too many requests: rate limit "few"'
                assert dict(await call.trailing_metadata())["grpc-retry-pushback-ms"] == "-1"
                answer = await plain.get("/x")
                assert (answer.status, json.loads(answer.body)["code"]) == (429, 429)
                assert 3000 < int(answer.fields["retry-after"]) <= 3600
                assert serving.number("rate_limited_total", limit="few") == 3
                assert serving.number("failures_total", reason="rate-limited") == 3
                serving.apply(rate_limits=[slow], routes=[route(rate_limits=["slow"])])
                assert await codes(client, 1) == [OK]
                call = client.unary(b"", timeout=30)
                assert 0 < int(dict(await call.trailing_metadata())["grpc-retry-pushback-ms"]) <= 30_000
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        refused = [line["limit"] for line in lines if line.get("reason") == "rate-limited"]
        assert refused == ["few", "few", "few", "slow"]
        assert not any("limit" in line for line in lines if "reason" not in line)
        assert len(app.calls) == 3


@pytest.mark.parametrize("workers", [1, 4])
async def test_a_limit_holds_for_the_process(workers: int) -> None:
    async with Backend() as app:
        given = limited(app, limit(burst=50), limit("by-user", burst=20, key={"header": "x-user"}))
        with Serving(given, workers) as serving:
            clients = [Client(serving.address) for _ in range(8)]
            users = ["alice", "bob"]
            counts = await asyncio.gather(
                *(passed(client, 10, [("x-user", users[number % 2])]) for number, client in enumerate(clients))
            )
            assert (sum(counts[::2]), sum(counts[1::2])) == (20, 20)
            assert await passed(clients[0], 30) == 10, "who has no header counts apart; ten are left for all"
            for client in clients:
                await client.channel.close()
        assert len(app.calls) == 50


async def test_callers_are_told_apart_by_their_claims() -> None:
    issuer, other = TokenIssuer(), TokenIssuer()
    providers = [
        {"id": name, "issuer": known.url, "audiences": [known.audience]}
        for name, known in (("a", issuer), ("b", other))
    ]
    access = {"requirements": [{"provider": "a"}, {"provider": "b"}], "allow_without_credential": True}
    fields = {"authentication": {"providers": providers}, "route": {"access": access}}
    limits = [limit("caller", key={"claim": "sub"}), limit("tenant", burst=5, key={"claim": "org.tenant"})]

    def bearer(known: TokenIssuer, subject: str, tenant: object) -> Metadata:
        return [("authorization", f"Bearer {known.token(subject=subject, org={'tenant': tenant})}")]

    async with Backend() as app:
        with Serving(limited(app, *limits, **fields)) as serving:
            serving.core.set_keys("a", json.dumps(jwks(issuer.keys)))
            serving.core.set_keys("b", json.dumps(jwks(other.keys)))
            async with Client(serving.address) as client:
                assert await passed(client, 9, bearer(issuer, "alice", "blue")) == 3
                assert await passed(client, 9, bearer(issuer, "bob", "blue")) == 2, "two are left for the tenant"
                assert await passed(client, 9, bearer(issuer, "alice", "blue")) == 0
                assert await passed(client, 9, bearer(issuer, "bob", "red")) == 1
                assert await passed(client, 9, bearer(other, "alice", "blue")) == 3, "another issuer's alice"
                assert await passed(client, 9) == 3, "all without a token share a bucket"
                # New tokens of the same callers, and a snapshot that numbers the claims the other way round.
                serving.apply(rate_limits=[*reversed(limits)])
                assert await passed(client, 9, bearer(issuer, "alice", "green")) == 0
                assert await passed(client, 9, bearer(issuer, "carol", "red")) == 3
                assert await codes(client, 1, [("authorization", "Bearer x.y.z")]) == [grpc.StatusCode.UNAUTHENTICATED]


@pytest.mark.parametrize(("hops", "apart"), [(0, False), (1, True)])
async def test_addresses_are_those_that_trusted_proxies_saw(hops: int, apart: bool) -> None:
    async with Backend() as app:
        with Serving(limited(app, limit(key="source"), xff_trusted_hops=hops)) as serving:
            async with Client(serving.address) as client:
                seen = [
                    await passed(client, 4, [("x-forwarded-for", chain)])
                    for chain in (
                        "10.0.0.1",
                        "10.0.0.2",
                        "evil, 10.0.0.1",
                        "2001:db8::1",
                        "2001:db8::2",
                        "2001:db8:0:1::1",
                    )
                ]
    assert seen == ([3, 3, 0, 3, 0, 3] if apart else [3, 0, 0, 0, 0, 0])


async def test_methods_have_limits_beside_their_routes() -> None:
    methods = [
        {"name": f"{SERVICE}.Unary", "rate_limits": ["narrow", "wide"]},
        {"name": f"{SERVICE}.Fail"},
    ]
    async with Backend() as app:
        given = limited(app, limit("wide", burst=5), methods=methods)
        given["rate_limits"].append(limit("narrow", burst=2))
        with Serving(given) as serving:
            async with Client(serving.address) as client:
                assert await passed(client, 4) == 2
                async with await http1(serving.place) as plain:
                    statuses = [(await plain.get(f"/{SERVICE}/Nothing")).status for _ in range(5)]
                assert statuses.count(429) == 2, "three of five were left"


async def test_transcoded_calls_have_their_methods_limits() -> None:
    check = {
        "name": "grpc.health.v1.Health.Check",
        "bindings": [{"verb": "GET", "template": "/v1/health"}],
        "rate_limits": ["few"],
    }
    async with Backend() as app:
        given = document(app.address, methods=[check], rate_limits=[limit("few", burst=2)])
        with Serving(given) as serving:
            async with await http1(serving.place) as plain:
                answers = [await plain.get("/v1/health") for _ in range(4)]
            assert [answer.status for answer in answers] == [200, 200, 429, 429]
            assert json.loads(answers[-1].body)["message"] == 'too many requests: rate limit "few"'
            async with Client(serving.address) as client:
                # The limit is the method's, however it is called.
                check_by_grpc: Any = client.channel.unary_unary("/grpc.health.v1.Health/Check")
                assert await check_by_grpc(b"", timeout=30).code() is EXHAUSTED
                assert await codes(client, 1) == [OK]


async def test_a_reload_gives_nobody_a_fresh_bucket() -> None:
    async with Backend() as app:
        with Serving(limited(app, limit())) as serving:
            async with Client(serving.address) as client:
                assert await passed(client, 5) == 3
                serving.apply(version="2")
                assert await passed(client, 5) == 0
                serving.apply(rate_limits=[limit(burst=4)])
                assert await passed(client, 5) == 4
