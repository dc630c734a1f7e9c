"""Which backend a request goes to."""

from __future__ import annotations

import asyncio
import collections
import json
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest

from tests.gateway.backends import SERVICE, Backend, Client, failure
from tests.gateway.core import Serving, backend, document
from tests.gateway.raw import Peer, RawBackend, connect, head_of, http1, requests


def to(name: str, **match: Any) -> dict[str, Any]:
    return {"name": f"to-{name}", "match": match, "backends": [{"name": name}]}


async def served(serving: Serving, apps: dict[str, Backend], *fields: tuple[str, str], **pseudo: Any) -> str:
    """The name of the backend that a gRPC request reaches, or the gRPC status of its refusal."""
    before = {name: len(app.calls) for name, app in apps.items()}
    async with await connect(serving.place) as client:
        stream = await client.request(fields=fields, **pseudo)
        head = await client.fields(stream)
        if "grpc-status" in head:
            return head["grpc-status"]
    return next(name for name, app in apps.items() if len(app.calls) > before[name])


async def three(stack: AsyncExitStack) -> dict[str, Backend]:
    return {name: await stack.enter_async_context(Backend()) for name in ("one", "two", "three")}


async def test_routes_match_by_everything_that_they_say() -> None:
    async with AsyncExitStack() as stack:
        apps = await three(stack)
        given = document(
            *(backend(app.address, name) for name, app in apps.items()),
            routes=[
                to("two", authorities=["two.test", "*.two.test"]),
                to("two", headers=[{"name": "canary", "exact": "yes"}]),
                to("two", headers=[{"name": "version", "prefix": "2."}], path_prefix="/test."),
                to("two", path=f"/{SERVICE}/Join"),
                to("three", service=SERVICE, method="Repeat"),
                to("three", service="other.Service"),
                to("three", headers=[{"name": "present"}, {"name": "absent", "invert": True}]),
                to("one", path_prefix="/test.Gate/"),
            ],
        )
        with Serving(given) as serving:
            assert await served(serving, apps) == "one"
            for authority in ("two.test", "TWO.test:8080", "a.two.test", "a.b.two.test"):
                assert await served(serving, apps, authority=authority) == "two"
            for authority in ("two.test.evil", "xtwo.test"):
                assert await served(serving, apps, authority=authority) == "one"
            assert await served(serving, apps, ("canary", "yes")) == "two"
            assert await served(serving, apps, ("canary", "no")) == "one"
            assert await served(serving, apps, ("version", "2.7")) == "two"
            assert await served(serving, apps, ("version", "12.7")) == "one"
            assert await served(serving, apps, path=f"/{SERVICE}/Join") == "two"
            assert await served(serving, apps, path=f"/{SERVICE}/Repeat") == "three"
            assert await served(serving, apps, ("present", "")) == "three"
            assert await served(serving, apps, ("present", ""), ("absent", "")) == "one"
            assert await served(serving, apps, path="/elsewhere/Unary") == "12"


async def test_weights_divide_the_calls() -> None:
    async with AsyncExitStack() as stack:
        apps = await three(stack)
        weighted = [{"name": "one", "weight": 90}, {"name": "two", "weight": 10}, {"name": "three", "weight": 0}]
        given = document(
            *(backend(app.address, name) for name, app in apps.items()),
            routes=[{"name": "canary", "backends": weighted}],
        )
        with Serving(given) as serving:
            async with Client(serving.address) as client:
                await asyncio.gather(*(client.unary(b"", timeout=30) for _ in range(1000)))
        assert len(apps["three"].calls) == 0
        # Six standard deviations of the binomial distribution.
        assert abs(len(apps["two"].calls) - 100) < 6 * (1000 * 0.1 * 0.9) ** 0.5
        assert len(apps["one"].calls) + len(apps["two"].calls) == 1000


async def test_a_methods_own_backend_outranks_the_routes() -> None:
    async with AsyncExitStack() as stack:
        apps = await three(stack)
        given = document(
            *(backend(app.address, name) for name, app in apps.items()),
            methods=[{"name": f"{SERVICE}.Repeat", "backend": "two"}, {"name": "other.Service.*", "backend": "three"}],
        )
        with Serving(given) as serving:
            assert await served(serving, apps) == "one"
            assert await served(serving, apps, path=f"/{SERVICE}/Repeat") == "two"


async def test_endpoints_take_turns() -> None:
    async with AsyncExitStack() as stack:
        apps = await three(stack)
        endpoints = [{"address": app.address} for app in apps.values()]
        with Serving(document({"name": "app", "endpoints": endpoints})) as serving:
            async with Client(serving.address) as client:
                await asyncio.gather(*(client.unary(b"", timeout=30) for _ in range(10)))
                before = {name: len(app.calls) for name, app in apps.items()}
                for _ in range(90):
                    await client.unary(b"", timeout=30)
            counts = collections.Counter({name: len(app.calls) - before[name] for name, app in apps.items()})
            assert sum(counts.values()) == 90
            assert max(counts.values()) - min(counts.values()) <= 2


async def test_endpoints_change_without_a_lost_call() -> None:
    """An endpoint that is taken out finishes what it has and gets nothing new."""
    async with AsyncExitStack() as stack:
        apps = await three(stack)
        one, two, _ = apps.values()
        with Serving(document(one.address)) as serving:
            async with Client(serving.address) as client:
                open_call = client.bidi(timeout=60)
                await open_call.write(b"1")
                assert await open_call.read() == b"1"
                serving.core.set_endpoints("app", [(two.address, 1, 0, 0)])
                for _ in range(20):
                    await client.unary(b"", timeout=30)
                assert (len(one.calls), len(two.calls)) == (1, 20)
                await open_call.write(b"2")
                assert await open_call.read() == b"2"
                await open_call.done_writing()
                assert await open_call.code() == grpc.StatusCode.OK
                serving.core.set_endpoints("app", [])
                error = await failure(client.unary(b"", timeout=30))
                assert error.code() == grpc.StatusCode.UNAVAILABLE
            with pytest.raises(KeyError):
                serving.core.set_endpoints("unknown", [])
            with pytest.raises(ValueError, match="address"):
                serving.core.set_endpoints("app", [("not an address", 1, 0, 0)])
            await serving.idle()


async def test_methods_that_are_not_known_are_refused_where_that_is_asked() -> None:
    async with Backend() as app:
        given = document(app.address, methods=[{"name": f"{SERVICE}.Unary"}], unknown_methods="reject")
        with Serving(given) as serving:
            async with Client(serving.address) as client:
                assert await client.unary(b"x", timeout=30) == b"x"
                error = await failure(client.fail(b"", timeout=30))
                assert error.code() == grpc.StatusCode.UNIMPLEMENTED
                assert error.details() == "The current request is not defined by this API."
            async with await http1(serving.place) as plain:
                answer = await plain.get("/nothing")
                assert answer.status == 404
                assert json.loads(answer.body) == {
                    "code": 404,
                    "message": "The current request is not defined by this API.",
                }
                assert answer.fields["content-type"] == "application/json"


@pytest.mark.parametrize(
    "path",
    [
        "/test.Gate%2fUnary",
        "/test.Gate/%55nary",
        "/x/../test.Gate/Unary",
        "//test.Gate/Unary",
        "/test.Gate/Unary/",
        "/test.Gate/Unary;x",
        "/./test.Gate/Unary",
    ],
)
async def test_a_spelling_of_a_path_reaches_what_it_is_routed_by(path: str) -> None:
    """Whatever a path looks like: it is refused, or the backend sees what the route was chosen by."""
    seen: list[tuple[str, str]] = []

    def script(name: str) -> Any:
        async def record(peer: Peer) -> None:
            while True:
                request = await requests(peer)
                seen.append((name, head_of(request)[":path"]))
                await peer.answer(request.stream_id)

        return record

    async with RawBackend(script("open")) as one, RawBackend(script("guarded")) as two:
        given = document(
            backend(one.address, "one"),
            backend(two.address, "two"),
            routes=[to("two", path=f"/{SERVICE}/Unary"), to("one")],
        )
        with Serving(given) as serving:
            async with await connect(serving.place) as client:
                await client.fields(await client.request(path=path))
    for name, target in seen:
        assert (name == "guarded") == (target.rstrip("/") == f"/{SERVICE}/Unary")


async def test_the_authority_is_kept_unless_the_backend_has_its_own() -> None:
    seen: list[str] = []

    async def record(peer: Peer) -> None:
        while True:
            request = await requests(peer)
            seen.append(head_of(request)[":authority"])
            await peer.answer(request.stream_id)

    async with RawBackend(record) as app:
        with Serving(document(app.address)) as serving:
            async with await connect(serving.place) as client:
                await client.fields(await client.request(authority="Shop.example:99"))
                serving.apply(backends=[backend(app.address, authority="own.example")])
                await client.fields(await client.request(authority="Shop.example:99"))
                # A request of HTTP/2 may name its host in the old way (RFC 9113, section 8.3.1).
                serving.apply(backends=[backend(app.address)])
                head = [(":method", "POST"), (":scheme", "http"), (":path", "/"), ("host", "old.example")]
                stream = client.h2.get_next_available_stream_id()
                await client.send(stream, head, end=True)
                await client.fields(stream)
    assert seen == ["Shop.example:99", "own.example", "old.example"]
