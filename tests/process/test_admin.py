"""The admin server as kubelets, Prometheus, operators and strangers meet it."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from gateway.admin import server as module
from gateway.admin.access import may_see_details
from gateway.admin.facts import Facts
from gateway.admin.probes import Liveness
from gateway.admin.server import AdminServer, application
from gateway.balance.outliers import EjectionReport, Standing
from gateway.configuration.model import Admin, Authentication, Backend, BackendTls, GatewayConfig, Listener, Provider
from gateway.core import Core
from gateway.discover.directory import BackendReport
from gateway.discover.source import Endpoint
from gateway.keys.refresh import KeyReport
from gateway.lifecycle.drain import Phase
from gateway.lifecycle.reload import ReloadReport
from gateway.problems import GatewayError
from healthcheck.state import Health
from tests.process.fakes import FakeCore

CONFIG = GatewayConfig(
    listeners=(Listener("http", "127.0.0.1:8080"),),
    backends=(Backend("app", ("app:1",), tls=BackendTls()),),
    authentication=Authentication(
        providers=(Provider("acme", "https://acme.example", "https://u:hunter2@acme.example/keys?t=hunter3"),)
    ),
    admin=Admin(),
    service_name="echo.endpoints.project.cloud.goog",
)

FACTS = Facts(
    config=CONFIG,
    version="3",
    snapshot=json.dumps(
        {
            "listeners": [{"tls": {"certificates": [{"chain_pem": "CHAIN", "key_pem": "hunter4"}]}}],
            "descriptors": ["AAAA"],
        }
    ).encode(),
    started_at=1_000_000_000.0,
    workers=2,
    addresses={"http": "127.0.0.1:8080"},
    phase=Phase.SERVING,
    keys=(KeyReport("acme", attempted=True, keys=2, age=12.5, fetches=4, failures=1, error=None),),
    backends=(BackendReport("app", ("10.0.0.1:1", "10.0.0.2:1"), failures=3, errors=(), hints=("Not headless?",)),),
    reloads=ReloadReport(applied=2, refused=1),
    warnings=("gateway.yaml:3: quota: not honoured",),
)


class World:
    """The gateway that the server shows."""

    def __init__(self) -> None:
        self.fake = FakeCore(workers=2)
        self.current = FACTS

    @property
    def core(self) -> Core:
        return self.fake

    def facts(self) -> Facts:
        return self.current


Client = TestClient[Any, Any]
Get = Callable[..., Coroutine[Any, Any, tuple[int, str]]]


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def client(world: World) -> AsyncIterator[Client]:
    async with TestClient(TestServer(application(world, None))) as client:
        yield client


@pytest.fixture
def get(client: Client) -> Get:
    async def fetch(path: str, **headers: str) -> tuple[int, str]:
        async with client.get(path, headers=headers) as answer:
            return answer.status, await answer.text()

    return fetch


async def test_a_process_whose_loops_turn_is_live(get: Get) -> None:
    assert await get("/livez") == (200, "ok\n")
    assert await get("/livez?verbose") == (200, "[+]worker-0 ok\n[+]worker-1 ok\nlivez check passed\n")


async def test_a_worker_that_hangs_is_not_live(get: Get, world: World) -> None:
    world.fake.answers = [0.001, None]
    status, text = await get("/livez")
    assert status == 503
    assert "[-]worker-1 failed: the loop did not answer within 2 s" in text


async def test_many_who_ask_for_life_share_one_test(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, begun, release, beats = asyncio.get_running_loop(), asyncio.Event(), threading.Event(), []

    def beat(timeout: float) -> list[float | None]:
        beats.append(timeout)
        loop.call_soon_threadsafe(begun.set)
        release.wait(20)
        return [0.0]

    monkeypatch.setattr(world.fake, "beat", beat)
    liveness = Liveness(world.core)
    asking = [asyncio.create_task(liveness.check()) for _ in range(20)]
    await begun.wait()
    release.set()
    assert [checks[0].holds for checks in await asyncio.gather(*asking)] == [True] * 20
    assert len(beats) == 1


@pytest.mark.parametrize("path", ["/readyz", "/healthz"])
async def test_a_process_that_can_serve_is_ready(get: Get, path: str) -> None:
    assert await get(path) == (200, "ok\n")


@pytest.mark.parametrize(
    ("change", "failing"),
    [
        ({"version": "", "addresses": {}}, "snapshot-applied"),
        ({"addresses": {}}, "listeners-bound"),
        ({"keys": (replace(FACTS.keys[0], attempted=False),)}, "keys-attempted"),
        ({"backends": (BackendReport("app", (), 0, ()),)}, "backends-have-endpoints"),
        ({"phase": Phase.ANNOUNCED}, "not-draining"),
        ({"phase": Phase.CLOSING}, "not-draining"),
    ],
)
async def test_each_condition_alone_keeps_it_from_being_ready(
    get: Get, world: World, change: dict[str, Any], failing: str
) -> None:
    world.current = replace(FACTS, **change)
    status, text = await get("/readyz?verbose")
    assert status == 503
    assert f"[-]{failing} failed" in text
    assert text.endswith("readyz check failed\n")
    assert (await get("/livez"))[0] == 200


async def test_one_backend_without_endpoints_does_not_take_the_others_out(get: Get, world: World) -> None:
    world.current = replace(FACTS, backends=(*FACTS.backends, BackendReport("canary", (), 1, ())))
    assert (await get("/readyz"))[0] == 200


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    families = list(text_string_to_metric_families(text))
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


async def test_the_cores_report_becomes_metrics_whatever_is_in_it(get: Get, world: World) -> None:
    method = {"method": "api.Echo/Echo", "backend": "app"}
    world.fake.stats_document = {
        "counters": [
            {"name": "requests_total", "labels": {**method, "code": "OK"}, "value": 7},
            {"name": "requests_total", "labels": {**method, "code": 'odd"\n\\'}, "value": 1},
        ],
        "gauges": [{"name": "client_connections", "labels": {}, "value": 3}],
        "histograms": [
            {
                "name": "request_duration_seconds",
                "labels": method,
                "buckets": [[0.001, 2], [0.5, 5], [None, 7]],
                "sum": 1.25,
                "count": 7,
            }
        ],
        "help": {"requests_total": "Requests that ended."},
    }
    status, text = await get("/metrics")
    found, labels = samples(text), frozenset(method.items())
    assert status == 200
    assert "# HELP tidegate_requests_total Requests that ended." in text
    assert found["tidegate_requests_total", labels | {("code", "OK")}] == 7
    assert found["tidegate_requests_total", labels | {("code", 'odd"\n\\')}] == 1
    assert found["tidegate_client_connections", frozenset()] == 3
    assert found["tidegate_request_duration_seconds_bucket", labels | {("le", "0.001")}] == 2
    assert found["tidegate_request_duration_seconds_bucket", labels | {("le", "0.5")}] == 5
    assert found["tidegate_request_duration_seconds_bucket", labels | {("le", "+Inf")}] == 7
    assert found["tidegate_request_duration_seconds_sum", labels] == 1.25
    assert found["tidegate_request_duration_seconds_count", labels] == 7


async def test_the_processes_own_facts_are_metrics(get: Get) -> None:
    found = samples((await get("/metrics"))[1])
    acme, app = frozenset({("provider", "acme")}), frozenset({("backend", "app")})
    assert found["tidegate_provider_keys", acme] == 2
    assert found["tidegate_provider_keys_age_seconds", acme] == 12.5
    assert found["tidegate_provider_key_fetches_total", acme] == 4
    assert found["tidegate_provider_key_fetch_failures_total", acme] == 1
    assert found["tidegate_backend_endpoints", app] == 2
    assert found["tidegate_backend_resolve_failures_total", app] == 3
    assert found["tidegate_configuration_reloads_total", frozenset({("result", "refused")})] == 1
    assert found["tidegate_ready", frozenset()] == 1
    assert found["process_resident_memory_bytes", frozenset()] > 0


async def test_ejections_are_metrics_by_backend_and_rule(get: Get, world: World) -> None:
    standing = {"10.0.0.1:1": Standing("success-rate", "it does worse", 1, 60.0)}
    world.current = replace(FACTS, ejections={"app": EjectionReport({"success-rate": 3}, standing)})
    found = samples((await get("/metrics"))[1])
    app = {("backend", "app")}
    assert found["tidegate_outlier_ejected_endpoints", frozenset(app)] == 1
    for kind, count in (("success-rate", 3), ("consecutive-errors", 0), ("failure-percentage", 0)):
        assert found["tidegate_outlier_ejections_total", frozenset(app | {("kind", kind)})] == count


async def test_prometheus_may_ask_for_openmetrics(client: Client) -> None:
    async with client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"}) as answer:
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        assert (await answer.text()).endswith("# EOF\n")


async def test_endpoints_status_has_the_members_that_esp_has(get: Get, world: World) -> None:
    status, text = await get("/endpoints_status")
    document = json.loads(text)
    process = document["processes"][0]
    assert (status, document["status"]) == (200, "SERVING")
    assert process["espStatus"][0]["serviceName"] == CONFIG.service_name
    assert process["startedAt"] == "2001-09-09T01:46:40Z"
    assert int(process["memoryUsage"]) > 0
    world.current = replace(FACTS, phase=Phase.ANNOUNCED)
    assert json.loads((await get("/endpoints_status"))[1])["status"] == "NOT_SERVING"


async def test_the_status_has_what_the_page_shows(get: Get, world: World) -> None:
    def pool(connections: int, failing: bool) -> dict[str, Any]:
        first = {"address": "10.0.0.1:1", "connections": connections, "streams": 5, "failing": False}
        second = {"address": "10.0.0.2:1", "connections": 0, "streams": 0, "failing": failing}
        return {"name": "app", "current": True, "waiting": 1, "endpoints": [first, second]}

    former = {"name": "app", "current": False, "endpoints": [{"address": "10.0.0.9:1", "connections": 1, "streams": 1}]}
    world.fake.status_document = {
        "workers": [
            {"connections": 3, "streams": 5, "backends": [pool(1, False), former]},
            {"connections": 4, "streams": 5, "backends": [pool(2, True)]},
        ]
    }
    document = json.loads((await get("/status.json"))[1])
    assert document["workers"][1] == {"worker": 1, "connections": 4, "streams": 5}
    assert document["listeners"] == [{"name": "http", "address": "127.0.0.1:8080", "protocol": "cleartext"}]
    assert document["backends"][0]["waiting"] == 2
    assert document["backends"][0]["endpoints"] == [
        {"address": "10.0.0.1:1", "state": "connected", "connections": 3, "streams": 10},
        {"address": "10.0.0.2:1", "state": "failing", "connections": 0, "streams": 0},
    ]
    assert document["backends"][0]["hints"] == ["Not headless?"]
    assert document["keys"][0]["provider"] == "acme"
    assert document["warnings"] == ["gateway.yaml:3: quota: not honoured"]
    assert all(check["holds"] for check in document["checks"])


async def test_clusters_are_shown_over_all_workers(get: Get, world: World) -> None:
    def pool(streams: int, gone: int) -> dict[str, Any]:
        common = {
            "effective_weight": 0.5,
            "share": 0.25,
            "priority": 1,
            "health": "unhealthy",
            "failing": False,
            "answered": 7,
            "erred": 6,
            "failed": 5,
        }
        first = {"address": "10.0.0.1:1", "weight": 2, "connections": 1, "streams": streams, **common}
        second = {"address": "10.0.0.2:1", "weight": 0, "connections": gone, "streams": 0, **common}
        return {"name": "app", "current": True, "waiting": 1, "concurrency_limit": 9, "endpoints": [first, second]}

    world.fake.status_document = {"workers": [{"backends": [pool(3, 0)]}, {"backends": [pool(4, 0)]}]}
    said = Endpoint("10.0.0.1:1", zone="a", metadata=(("pod", "app-0"),))
    reports = tuple(replace(report, described=(said,)) for report in FACTS.backends)
    standing = Standing("success-rate", "success rate 61.2 % is below 93.1 %", 2, 60.0)
    world.current = replace(
        FACTS,
        backends=reports,
        health={"app": (Health("10.0.0.1:1", ejected_until=9.0),)},
        ejections={"app": EjectionReport({"success-rate": 3}, {"10.0.0.1:1": standing})},
    )
    document = json.loads((await get("/clusters"))[1])
    app = next(cluster for cluster in document if cluster["name"] == "app")
    assert (app["policy"], app["waiting"], app["concurrency_limit"]) == ("round-robin", 2, 9)
    assert app["zones"] == [{"zone": "a", "endpoints": 1, "healthy": 0, "share": 0.25}]
    ejection = app["endpoints"][0].pop("ejection")
    assert datetime.fromisoformat(ejection.pop("until")) > datetime.now(UTC)
    assert ejection == {"kind": "success-rate", "reason": "success rate 61.2 % is below 93.1 %", "times": 2}
    assert app["endpoints"] == [
        {
            "address": "10.0.0.1:1",
            "zone": "a",
            "weight": 2,
            "effective_weight": 0.5,
            "share": 0.25,
            "priority": 1,
            "distance": 0,
            "metadata": {"pod": "app-0"},
            "health": "unhealthy",
            "ejected": True,
            "observed": "UNKNOWN",
            "damped": False,
            "admin": "ENABLED",
            "state": "active",
            "failing": False,
            "answered": 7,
            "erred": 6,
            "failed": 5,
            "connections": 2,
            "streams": 7,
        }
    ]


async def test_the_configuration_is_shown_without_secrets(get: Get) -> None:
    status, text = await get("/config")
    assert status == 200
    assert "hunter" not in text
    document = json.loads(text)
    assert document["config"]["authentication"]["providers"][0]["jwks"] == "https://acme.example/keys"
    pair = document["snapshot"]["listeners"][0]["tls"]["certificates"][0]
    assert pair == {"chain_pem": "CHAIN", "key_pem": "[redacted]"}
    assert document["snapshot"]["descriptors"] == ["[3 bytes]"]


async def test_clients_are_shown(get: Get) -> None:
    assert json.loads((await get("/clients"))[1]) == [{"peer": "127.0.0.1:5000"}]


async def test_the_page_is_whole_and_runs_only_its_own_script(client: Client) -> None:
    async with client.get("/") as answer:
        text = await answer.text()
        policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert len(re.findall(r"'sha256-[^']{44}'", policy)) == 2
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
    assert "innerHTML" not in text
    assert "prefers-color-scheme: dark" in text


@pytest.mark.parametrize("path", ["/", "/status.json", "/config", "/clients"])
async def test_a_foreign_page_cannot_read_details_through_a_name_of_its_own(get: Get, path: str) -> None:
    status, text = await get(path, Host="attacker.example:8090")
    assert status == 403
    assert "Host header" in text
    assert (await get("/readyz", Host="attacker.example"))[0] == 200


@pytest.mark.parametrize(
    ("local", "host", "opened", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1:8090", None, True),
        ("127.0.0.1", "localhost:8090", None, True),
        ("::1", "[::1]:8090", None, True),
        ("::ffff:127.0.0.1", "LOCALHOST", None, True),
        ("10.0.0.5", "10.0.0.5:8090", None, False),
        ("::ffff:10.0.0.5", "10.0.0.5:8090", None, False),
        ("10.0.0.5", "localhost", None, False),
        ("10.0.0.5", "10.0.0.5:8090", "10.0.0.5", True),
        ("10.0.0.6", "10.0.0.6:8090", "10.0.0.5", False),
        ("10.0.0.5", "10.0.0.5:8090", "0.0.0.0", True),
        ("fd00::5", "[fd00::5]:8090", "::", True),
        ("10.0.0.5", "attacker.example:8090", "10.0.0.5", False),
        ("127.0.0.1", "attacker.example", "0.0.0.0", False),
        ("127.0.0.1", "127.0.0.1.attacker.example", None, False),
        ("127.0.0.1", "", None, False),
        ("", "localhost", None, False),
    ],
)
def test_details_are_for_loopback_and_the_opened_address(
    local: str, host: str, opened: str | None, allowed: bool
) -> None:
    assert (may_see_details(local, host, opened) is None) is allowed


async def test_a_port_that_is_taken_is_named(world: World, unused_tcp_port: int) -> None:
    first = AdminServer(world, unused_tcp_port, None)
    assert (await first.start()).endswith(f":{unused_tcp_port}")
    with pytest.raises(GatewayError, match=f"status port {unused_tcp_port} cannot be bound.*--status_port"):
        await AdminServer(world, unused_tcp_port, None).start()
    await first.aclose()


def test_a_tree_that_is_not_installed_has_a_version_all_the_same() -> None:
    assert module.product_version()
