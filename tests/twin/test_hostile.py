"""Clients that send nonsense, too much, or all at once: clean answers, and nothing is lost."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from infra.twin.api.call import Request
from infra.twin.discovery.body import MOST_IGNORED
from infra.twin.discovery.document import Schema, compute_v1
from infra.twin.intake import BODY, Intake
from infra.twin.process import TwinOptions
from tests.support.backends import GrpcBackend
from tests.support.processes import Program
from tests.support.waiting import wait_for
from tests.twin.balancer import CLIENT_REGIONS, Balancer, Caller, unverifiable
from tests.twin.compiled import BASE, CHAIN, NOW, PROJECT, Refused, Twin, traffic
from tests.twin.conftest import Client, Start
from tests.twin.test_fields import PLACES, made
from tidegate_core import ProbePlan, check_snapshot

US = CLIENT_REGIONS[0]
CLIENTS = 1000
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
        if (place.name, value) == ("type", "MANAGED"):
            continue
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


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("page", [PAGES[0], "twin/v1/faults", "token", f"v1/projects/{PROJECT}:testIamPermissions"])
async def test_ten_megabytes_are_too_much_everywhere(client: Client, page: str, declared: bool) -> None:
    piece = b"x" * (1 << 20)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield piece

    body = piece * 10 if declared else pieces()
    async with client.session.post(f"{client.base}/{page}", data=body) as answer:
        assert answer.status == 413
        assert (await answer.json())["error"]["errors"][0]["reason"] == "uploadTooLarge"
    await client.done("POST", "global/addresses", {"name": "vip"})


async def test_a_body_that_does_not_come_ends_its_request() -> None:
    async def echo(request: aiohttp.web.Request) -> aiohttp.web.Response:
        return aiohttp.web.Response(body=request[BODY])

    application = aiohttp.web.Application(middlewares=[Intake(longest_read=0.1).middleware])
    application.router.add_post("/", echo)
    runner = aiohttp.web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
        with closing(writer):
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
            assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    finally:
        await runner.cleanup()


async def test_a_thousand_clients_at_once_lose_nothing(client: Client) -> None:
    """Each on a connection of its own; every one makes a resource, reads it, and takes a step that is refused."""
    url = f"{client.base}/compute/v1/projects/{PROJECT}/global/healthChecks"

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        async with session.post(url, json={"name": f"check-{number}", "type": "TCP"}) as answer:
            assert answer.status == 200
        async with session.post(url, data=b"{") as answer:
            assert answer.status == 400
        async with session.get(f"{url}/check-{number}") as answer:
            assert (await answer.json())["name"] == f"check-{number}"

    connector = aiohttp.TCPConnector(limit=CLIENTS)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as tasks:
        for number in range(CLIENTS):
            tasks.create_task(one(session, number))
    names: set[str] = set()
    query = {"maxResults": "500"}
    while True:
        page = await client.get("global/healthChecks", **query)
        names |= {item["name"] for item in page["items"]}
        if "nextPageToken" not in page:
            break
        query["pageToken"] = page["nextPageToken"]
    assert names == {f"check-{number}" for number in range(CLIENTS)}


MOST_GROWTH = 450
"""Megabytes: half a megabyte of each connection, and what has its turn. All bodies together are 900."""


def _peak(pid: int) -> int:
    """Megabytes of memory that a process has had at most."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


async def test_large_bodies_of_many_clients_take_bounded_memory(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infra.cli.main", "twin", "--port", "0"]
    with Program(command, tmp_path) as program:
        await asyncio.to_thread(wait_for, "the twin's URL", lambda: program.stdout.endswith("\n"))
        url = f"{program.stdout.strip()}projects/{PROJECT}/global/addresses"
        before = _peak(program.pid)
        allowed = json.dumps({"name": "vip", "unknown": "x" * (3 << 20)}).encode()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def send(body: bytes) -> int:
                async with session.post(url, data=body) as answer:
                    await answer.read()
                    return answer.status

            statuses = Counter(await asyncio.gather(*(send(allowed) for _ in range(300))))
            assert statuses == {200: 1, 409: 299}
            assert await send(b'{"name": "other"}') == 200
        assert _peak(program.pid) - before < MOST_GROWTH


@pytest.fixture
async def balancer(start: Start) -> AsyncIterator[Balancer]:
    """One region's backend, and a front end for clients of one region."""
    balancer = Balancer(await start(TwinOptions()))
    with GrpcBackend("pod", credentials=unverifiable()) as pod:
        await balancer.make({US: [pod.address]})
        await balancer.listeners()
        await balancer.healthy({US: 1})
        yield balancer


async def test_a_thousand_clients_of_a_listener_are_all_served(balancer: Balancer) -> None:
    """All connections stand before the first request is sent."""
    host, _, port = (await balancer.listeners())[US].rpartition(":")
    tls = ssl.create_default_context(cadata=balancer.ca.decode())
    opening = asyncio.Semaphore(100)

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with opening:
            return await asyncio.open_connection(host, int(port), ssl=tls, server_hostname="api.example")

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        writer.write(b"GET /any HTTP/1.1\r\nhost: api.example\r\nconnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer.split(b"\r\n", 1)[0]

    connections = await asyncio.gather(*(connect() for _ in range(CLIENTS)))
    answers = Counter(await asyncio.gather(*(ask(*connection) for connection in connections)))
    ((line, count),) = answers.items()
    assert count == CLIENTS
    assert line.startswith(b"HTTP/1.1 ")
    assert set(await Caller((await balancer.listeners())[US], balancer.ca)(5)) == {"pod"}


async def test_calls_go_on_among_nonsense(balancer: Balancer) -> None:
    listen = (await balancer.listeners())[US]
    host, _, port = listen.rpartition(":")
    caller = Caller(listen, balancer.ca)
    calls = asyncio.create_task(caller(100, pace=0.005))
    for data in (b"\x16\x03\x01\xff\xff" + b"\x00" * 100, b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 5000, bytes(range(256))):
        for _ in range(25):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(data)
            writer.close()
    assert await calls == {"pod": 100}


async def test_resources_that_make_no_sense_together_leave_others_served(balancer: Balancer) -> None:
    """A second rule, whose certificate nobody has, is named as a problem; the first is served as before."""
    done = balancer.client.done
    managed = {"name": "managed", "type": "MANAGED", "managed": {"domains": ["a.example"]}}
    await done("POST", "global/sslCertificates", managed)
    proxy = {"name": "bare", "urlMap": "global/urlMaps/map", "sslCertificates": ["global/sslCertificates/managed"]}
    await done("POST", "global/targetHttpsProxies", proxy)
    rule = {"name": "bare", "target": "global/targetHttpsProxies/bare", "portRange": "443"}
    await done("POST", "global/forwardingRules", rule | {"loadBalancingScheme": "EXTERNAL_MANAGED"})
    while True:
        _, body = await balancer.client.own("GET", "listeners")
        bare = [one for one in body["listeners"] if one["forwardingRule"].endswith("/bare")]
        if len(bare) == len(CLIENT_REGIONS) and all("problem" in one for one in bare):
            break
        await asyncio.sleep(0.02)
    assert not any(one["ready"] for one in bare)
    assert set(await Caller((await balancer.listeners())[US], balancer.ca)(5)) == {"pod"}
