"""Consul itself: what is registered there moves traffic, and whatever befalls it, the gateway finds its way back."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.backends import Backend
from tests.gateway.core import until
from tests.registries.parts import ConsulAgent, Followed, Line, Traffic
from tests.support.processes import Program, tidegate

pytestmark = [pytest.mark.real("consul"), pytest.mark.asyncio]

MASTER = "8f1c0d0e-0b0a-4a52-9d1c-2b6a3c1d0001"
"""The token that may do everything."""


@pytest.fixture
def consul(tmp_path: Path) -> Iterator[ConsulAgent]:
    with ConsulAgent(tmp_path) as agent:
        yield agent


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A blocking query ends sooner than in earnest, so that nobody waits for one that hangs."""
    monkeypatch.setattr("gateway.discover.consul.source.WAIT", 1.0)
    monkeypatch.setattr("gateway.discover.consul.client.TIME_OUT", 2.0)


def check(status: str) -> dict[str, Any]:
    return {"Check": {"TTL": "1h", "Status": status}}


async def test_servers_that_come_and_go_in_consul_move_traffic(consul: ConsulAgent) -> None:
    async with Backend() as first, Backend() as second:
        consul.register("a", first.address, **check("passing"))
        async with Traffic(f"consul://{consul.address}/echo?passing") as traffic:
            await traffic.reaches(first)
            consul.register("b", second.address, **check("passing"))
            await traffic.reaches(first, second)
            consul.call("PUT", "agent/check/fail/service:a")
            await traffic.reaches(second)
            consul.call("PUT", "agent/check/pass/service:a")
            consul.deregister("b")
            await traffic.reaches(first)


async def test_tags_checks_weights_and_metadata_choose(consul: ConsulAgent) -> None:
    weights: dict[str, Any] = {"Weights": {"Passing": 4, "Warning": 2}}
    consul.register("a", "127.0.0.1:1", Tags=["v1", "eu"], **weights, **check("passing"))
    consul.register("b", "127.0.0.1:2", Tags=["v1"], **weights, **check("warning"))
    consul.register("c", "127.0.0.1:3", Tags=["v2", "eu"], **check("critical"))
    consul.register("d", "127.0.0.1:4", Tags=["v1"], Meta={"priority": "high"})
    consul.register("e", "127.0.0.1:0", Tags=["v1"])
    base = f"consul://{consul.address}/echo"
    for query, expected in {
        "": [("127.0.0.1:1", 4), ("127.0.0.1:2", 2)],
        "?passing": [("127.0.0.1:1", 4)],
        "?tag=v1&tag=eu&dc=dc1": [("127.0.0.1:1", 4)],
        "?tag=none": [],
    }.items():
        async with Followed(base + query) as source:
            await until(f"what {query or 'nothing'} chooses", lambda: source.endpoints is not None)
            assert source.endpoints == expected
            if not query:
                assert "'d': its priority is 'high'" in source.hint
                assert "'e': its port is 0" in source.hint


async def test_a_datacentre_that_is_not_there_is_a_failure(consul: ConsulAgent) -> None:
    async with Followed(f"consul://{consul.address}/echo?dc=elsewhere") as source:
        await until("trouble", lambda: "No path to datacenter" in source.trouble)


async def test_a_partition_keeps_what_is_known(consul: ConsulAgent) -> None:
    consul.register("a", "127.0.0.1:1")
    async with Line(consul.address) as line, Followed(f"consul://{line.address}/echo") as source:
        await until("the first", lambda: source.endpoints == [("127.0.0.1:1", 1)])
        line.cut()
        await until("trouble", lambda: "does not answer in time" in source.trouble)
        consul.register("b", "127.0.0.1:2")
        consul.deregister("a")
        assert source.endpoints == [("127.0.0.1:1", 1)]
        line.heal()
        await until("the newest", lambda: source.endpoints == [("127.0.0.1:2", 1)])


async def test_an_agent_that_begins_anew_is_followed_with_smaller_indexes(consul: ConsulAgent) -> None:
    """What `-dev` knows is lost with the process, and its indexes begin again below those that were asked with."""
    for port in range(1, 30):
        consul.register("a", f"127.0.0.1:{port}")
    async with Followed(f"consul://{consul.address}/echo") as source:
        await until("the first", lambda: source.endpoints == [("127.0.0.1:29", 1)])
        consul.stop()
        await until("trouble", lambda: source.trouble)
        assert source.endpoints == [("127.0.0.1:29", 1)]
        consul.start()
        consul.register("b", "127.0.0.1:40")
        await until("the new one", lambda: source.endpoints == [("127.0.0.1:40", 1)])


async def test_tokens_decide_what_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = tmp_path / "acl.json"
    tokens = {"master": MASTER, "agent": MASTER}
    configuration.write_text(json.dumps({"acl": {"enabled": True, "default_policy": "deny", "tokens": tokens}}))
    with ConsulAgent(tmp_path, [f"-config-file={configuration}"]) as consul:
        consul.register("a", "127.0.0.1:1", MASTER)
        rules = 'service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }'
        consul.call("PUT", "acl/policy", {"Name": "gate", "Rules": rules}, MASTER)
        made = consul.call("PUT", "acl/token", {"Policies": [{"Name": "gate"}]}, MASTER)
        target = f"consul://{consul.address}/echo"
        async with Followed(target) as source:
            await until("an answer", lambda: source.endpoints == [])
            assert "the token may not read it" in source.hint
        monkeypatch.setenv("CONSUL_HTTP_TOKEN", "8f1c0d0e-0b0a-4a52-9d1c-2b6a3c1d0002")
        async with Followed(target) as source:
            await until("trouble", lambda: "ACL not found" in source.trouble)
            assert "8f1c0d0e" not in source.trouble
        monkeypatch.setenv("CONSUL_HTTP_TOKEN", made["SecretID"])
        async with Followed(target) as source:
            await until("the first", lambda: source.endpoints == [("127.0.0.1:1", 1)])


async def test_a_server_announces_itself_and_is_gone_with_its_announcer(consul: ConsulAgent, tmp_path: Path) -> None:
    async with Backend() as backend:
        arguments = ["--address", f":{backend.address.rpartition(':')[2]}", "--ttl", "3s", "--metadata", "zone=a"]
        pod = {"POD_IP": "127.0.0.1", "POD_NAME": "echo-0", "CONSUL_HTTP_ADDR": consul.address}
        command = tidegate("register", "consul", "echo", *arguments, "--weight", "2", "--tag", "v1")
        async with Traffic(f"consul://{consul.address}/echo?passing&tag=v1") as traffic:
            with Program(command, tmp_path, pod) as program:
                await traffic.reaches(backend)
                announced = consul.instances()["echo-echo-0"]
                assert (announced["Meta"], announced["Weights"]["Passing"]) == ({"zone": "a"}, 2)
                consul.deregister("echo-echo-0")
                await until("the second announcement", lambda: "echo-echo-0" in consul.instances())
                consul.stop()
                consul.start()
                await until("the third announcement", lambda: "echo-echo-0" in consul.instances())
                program.send(signal.SIGTERM)
                assert program.finish() == 0
                assert consul.instances() == {}


async def test_a_server_that_was_killed_is_not_called(consul: ConsulAgent, tmp_path: Path) -> None:
    arguments = ["--address", "127.0.0.1:1", "--ttl", "3s", "--registry", consul.address]
    async with Followed(f"consul://{consul.address}/echo?passing") as source:
        with Program(tidegate("register", "consul", "echo", *arguments), tmp_path) as program:
            await until("the announcement", lambda: source.endpoints == [("127.0.0.1:1", 1)])
            program.send(signal.SIGKILL)
            await until("the end of its time to live", lambda: source.endpoints == [])
