"""Clients that send nonsense, or too much: clean answers, and what is taken can be served."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from typing import Any

import aiohttp
import pytest

from infra.twin import mutate
from infra.twin.api import endpoints
from infra.twin.api.call import Request
from infra.twin.discovery.body import MOST_IGNORED
from infra.twin.discovery.document import Schema, compute_v1
from infra.twin.intake import BODY, Intake
from tests.twin.compiled import BASE, CHAIN, GROUPS, NOW, PROJECT, Refused, Twin, traffic
from tests.twin.conftest import Client
from tests.twin.test_fields import PLACES, made
from tidegate_core import ProbePlan, check_snapshot

SCHEMAS = compute_v1()
MALFORMED: Mapping[str, bytes] = {
    "half": b'{"name": ',
    "list": b"[]",
    "text": b'"x"',
    "number": b"1",
    "null": b"null",
    "not a number": b'{"name": NaN}',
    "infinite": b'{"name": "a", "timeoutSec": Infinity}',
    "too long a number": b'{"name": ' + b"9" * 10_000 + b"}",
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "nested lists": b"[" * 200_000,
    "nested objects": b'{"a":' * 200_000,
    "binary": bytes(range(256)),
    "XML": b"<name>a</name>",
}
ODD: Mapping[str, bytes] = {
    "half a character": b'{"name": "\\ud800", "description": "\\ud800"}',
    "half a character in a name": b'{"\\ud800": 1}',
    "everything null": b'{"name": null, "fingerprint": null, "networkEndpoints": null, "resource": null}',
    "everything wrong": b'{"name": [], "fingerprint": {}, "networkEndpoints": 1, "resource": "x", "labels": [1]}',
    "twice": b'{"name": "a", "name": []}',
}
"""JSON, but no sense; what a method does not know of it is ignored."""


def methods_with_a_body() -> list[str]:
    return sorted(method.name for method in SCHEMAS.methods.values() if method.request)


@pytest.fixture(scope="module")
def chain() -> Twin:
    twin = Twin()
    twin.make({})
    return twin


@pytest.mark.parametrize("name", methods_with_a_body())
def test_no_method_takes_a_malformed_body(chain: Twin, name: str) -> None:
    method = SCHEMAS.methods[name]
    values = {"project": PROJECT, "zone": "us-central1-a", "region": "us-central1", "resource": "near"}
    known = {"networkEndpointGroup": "near", "backendService": "service", "urlMap": "map", "targetHttpProxy": "plain"}
    known |= {"targetHttpsProxy": "secure", "forwardingRule": "rule", "healthCheck": "check", "network": "net"}
    known |= {"subnetwork": "sub", "firewall": "wall", "securityPolicy": "policy"}
    segments = [(values | known).get(part.strip("{}"), "near") if "{" in part else part for part in method.segments]
    before = chain.engine.mutations
    for body in MALFORMED.values():
        answer = chain.api.answer(Request(method.verb, "/".join(segments), {}, body, BASE, NOW))
        assert answer.status in (400, 404, 501), (name, body[:40], answer.body)
        assert answer.body["error"]["errors"][0]["message"]
    assert chain.engine.mutations == before
    for body in ODD.values():
        answer = chain.api.answer(Request(method.verb, "/".join(segments), {}, body, BASE, NOW))
        assert answer.status in (200, 400, 404, 412, 501), (name, body[:40], answer.body)


@pytest.mark.parametrize("digits", [17, 400, 4000])
def test_numbers_of_any_length_have_an_answer(chain: Twin, digits: int) -> None:
    backend = b'{"group": "zones/us-central1-a/networkEndpointGroups/near", "maxRatePerEndpoint": ' + b"9" * digits
    body = b'{"name": "long", "backends": [' + backend + b', "balancingMode": "RATE"}]}'
    request = Request("POST", f"projects/{PROJECT}/global/backendServices", {}, body, BASE, NOW)
    assert chain.api.answer(request).status == 400


async def test_a_log_from_anywhere_on(client: Client) -> None:
    for after in ("1" * 30, "1" * 5000, "-1", "x"):
        assert (await client.own("GET", f"requests?after={after}"))[0] == 200


def odd_values(schema: Schema) -> Iterator[Any]:
    if "$ref" in schema:
        schema = SCHEMAS.schemas[schema["$ref"]]
    match schema.get("type"):
        case "array":
            yield []
            for value in odd_values(schema["items"]):
                yield [value]
        case "object":
            yield {}
            if "nanos" in schema.get("properties", {}):
                yield from ({"seconds": "-5"}, {"seconds": str(2**63 - 1)}, {"nanos": -1}, {"seconds": 0, "nanos": 1})
        case "integer":
            yield from (-1, 0, 2**31 - 1)
        case "number":
            yield from (-1, 0, 1e300, 5e-324)
        case "string" if "enum" in schema:
            yield from schema["enum"]
        case "string":
            yield from ("", "a b", "a\nb", "\x00", "é", "\ud800", "/", "*", "x" * 2000, "global/backendServices/none")
        case _:
            yield True


@pytest.mark.parametrize(
    "place",
    [pytest.param(p, id=f"{p.kind.schema}.{p}") for p in PLACES if p.handling == "honoured" and str(p) != "name"],
)
def test_what_is_taken_can_be_served(place: Any) -> None:
    """A resource that the core would refuse would leave its whole load balancer as it was."""
    for value in (None, *odd_values(place.schema)):
        try:
            twin, _ = made(place, {place.name: value})
        except Refused:
            continue
        for served in traffic(twin).values():
            for document in served["snapshots"].values():
                assert check_snapshot(json.dumps(document).encode()) == []
            for request in served["checks"].values():
                ProbePlan(request)
            assert all(route.max_timeout >= 0 for route in served["configuration"].routes)


def test_a_name_is_a_name_for_every_kind() -> None:
    for path, body in CHAIN:
        for name in ("", "a/b", "../a", "a b", "A", "é", "\ud800", "a" * 64, "%2e%2e", "a\n"):
            twin = Twin()
            assert twin.call("POST", path, {**body, "name": name}).status == 400, (path, name)


def test_a_log_names_so_many_fields_and_no_more() -> None:
    twin = Twin()
    body = {"name": "vip"} | {f"unknown-{number}-{'x' * 1000}": number for number in range(2000)}
    answer = twin.call("POST", "global/addresses", body)
    assert answer.status == 200
    assert len(answer.ignored) == MOST_IGNORED
    assert max(len(place) for place in answer.ignored) <= 300


def test_there_are_so_many_resources_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutate, "MOST_RESOURCES", 3)
    twin = Twin()
    statuses = [twin.call("POST", "global/addresses", {"name": f"vip-{number}"}).status for number in range(4)]
    assert statuses == [200, 200, 200, 403]
    assert twin.call("DELETE", "global/addresses/vip-0").status == 200
    assert twin.call("POST", "global/addresses", {"name": "other"}).status == 200


def test_a_group_has_so_many_endpoints_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "MOST_ENDPOINTS", 3)
    twin = Twin()
    assert twin.call("POST", GROUPS["near"], {"name": "near"}).status == 200

    def attach(*hosts: int) -> int:
        members = [{"ipAddress": f"10.0.0.{host}", "port": 1, "instance": "vm"} for host in hosts]
        return twin.call("POST", f"{GROUPS['near']}/near/attachNetworkEndpoints", {"networkEndpoints": members}).status

    assert [attach(1, 2), attach(2, 3), attach(3, 4), attach(1)] == [200, 200, 400, 200]


@pytest.mark.parametrize(
    "expression",
    [
        "description eq ((a+))+b",
        "description eq " + "(a|a)" * 40 + "b",
        "description eq " + "a?" * 60 + "a" * 60,
        "description eq .*.*.*.*.*.*b",
        'description = "' + "*a" * 500 + 'b"',
    ],
)
def test_no_filter_takes_for_ever(expression: str) -> None:
    twin = Twin()
    for number in range(20):
        twin.call("POST", "global/addresses", {"name": f"a-{number}", "description": "a" * 100_000})
    request = Request("GET", f"projects/{PROJECT}/global/addresses", {"filter": expression}, b"", BASE, NOW)
    assert twin.api.answer(request).status in (200, 400)


@pytest.mark.parametrize(
    "expression", ['name eq "web-(?:1|2)"', "name eq .*b-1", "name eq ^web-[0-9]+$", 'name = "w*b*1"']
)
def test_ordinary_filters_still_work(expression: str) -> None:
    twin = Twin()
    for name in ("web-1", "db-1x"):
        twin.call("POST", "global/addresses", {"name": name})
    request = Request("GET", f"projects/{PROJECT}/global/addresses", {"filter": expression}, b"", BASE, NOW)
    assert [item["name"] for item in twin.api.answer(request).body["items"]] == ["web-1"]


PAGES = (
    f"compute/v1/projects/{PROJECT}/global/addresses",
    f"compute/v1/projects/{PROJECT}/global/addresses/vip",
    f"compute/v1/projects/{PROJECT}/global/nothings",
    "compute/v1/",
    "twin/v1/faults",
    "twin/v1/listeners",
    "twin/v1/nothing",
    "token",
    f"v1/projects/{PROJECT}:testIamPermissions",
    f"v1/projects/{PROJECT}/services",
    "v1/projects/-/serviceAccounts/default:generateAccessToken",
    "computeMetadata/v1/project/project-id",
)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "BREW"])
async def test_every_verb_has_an_answer_everywhere(client: Client, page: str, verb: str) -> None:
    for body in (None, *MALFORMED.values(), *ODD.values()):
        if body is not None and verb not in ("POST", "PUT", "PATCH", "DELETE"):
            continue
        async with client.session.request(verb, f"{client.base}/{page}", data=body) as answer:
            assert answer.status < 500, (body and body[:40], await answer.text())


@pytest.mark.parametrize("how", ["declared", "in pieces", "compressed"])
@pytest.mark.parametrize("page", [PAGES[0], "twin/v1/faults", "token", f"v1/projects/{PROJECT}:testIamPermissions"])
async def test_ten_megabytes_are_too_much_everywhere(client: Client, page: str, how: str) -> None:
    piece = b"x" * (1 << 20)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield piece

    body = {"declared": piece * 10, "in pieces": pieces(), "compressed": gzip.compress(piece * 10)}[how]
    headers = {"Content-Encoding": "gzip"} if how == "compressed" else {}
    async with client.session.post(f"{client.base}/{page}", data=body, headers=headers) as answer:
        assert answer.status == 413
        assert (await answer.json())["error"]["errors"][0]["reason"] == "uploadTooLarge"
    await client.done("POST", "global/addresses", {"name": "vip"})


@pytest.mark.parametrize("length", [100, 100_000])
async def test_a_body_that_does_not_come_ends_its_request(length: int) -> None:
    async def echo(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.Response(body=request[BODY])

    application = aiohttp.web.Application(middlewares=[Intake(0.1, 0.1).middleware])
    application.router.add_post("/", echo)
    runner = aiohttp.web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        with closing(writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\nabc" % length)
            assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    finally:
        await runner.cleanup()
