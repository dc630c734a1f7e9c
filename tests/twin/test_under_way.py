"""Operations that take their time, and what comes while they are under way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from infra.twin.process import TwinOptions
from tests.twin.conftest import Client, Json, Start, running

FOR_EVER = 3600.0
"""Seconds: such an operation is under way until the test ends."""


@pytest.fixture
async def slow(start: Start, tmp_path: Path) -> Client:
    """A rule for `map`, which leads to the service `one`; there is a service `two`. From then on nothing ends."""
    state = tmp_path / "twin.db"
    async with running(TwinOptions(state=state)) as client:
        for name in ("one", "two"):
            service = {"name": name, "loadBalancingScheme": "EXTERNAL_MANAGED"}
            await client.done("POST", "global/backendServices", service)
        await client.done("POST", "global/urlMaps", {"name": "map", "defaultService": "global/backendServices/one"})
        await client.done("POST", "global/targetHttpProxies", {"name": "proxy", "urlMap": "global/urlMaps/map"})
        await client.done("POST", "global/forwardingRules", {**RULE, "name": "rule", "portRange": "80"})
    return await start(TwinOptions(state=state, operation_time=FOR_EVER))


RULE = {"target": "global/targetHttpProxies/proxy", "loadBalancingScheme": "EXTERNAL_MANAGED"}


async def begun(client: Client, verb: str, path: str, body: object = None) -> Json:
    """An operation that is under way."""
    status, operation = await client.call(verb, path, body)
    assert (status, operation["status"]) == (200, "RUNNING")
    return operation


async def to_two(client: Client) -> Json:
    """A change of the map."""
    fingerprint = (await client.get("global/urlMaps/map"))["fingerprint"]
    return {"fingerprint": fingerprint, "defaultService": "global/backendServices/two"}


async def test_what_is_being_deleted_cannot_be_referred_to(slow: Client) -> None:
    change = await to_two(slow)
    await begun(slow, "DELETE", "global/backendServices/two")
    status, reason, _ = await slow.refused("PATCH", "global/urlMaps/map", change)
    assert (status, reason) == (400, "resourceNotReady")


async def test_what_will_be_referred_to_cannot_be_deleted(slow: Client) -> None:
    await begun(slow, "PATCH", "global/urlMaps/map", await to_two(slow))
    for name in ("one", "two"):
        status, reason, _ = await slow.refused("DELETE", f"global/backendServices/{name}")
        assert (status, reason) == (400, "resourceInUseByAnotherResource")


async def test_what_fails_will_not_be(slow: Client) -> None:
    await slow.own("POST", "faults", {"operations": {"count": 1}})
    await begun(slow, "PATCH", "global/urlMaps/map", await to_two(slow))
    await begun(slow, "DELETE", "global/backendServices/two")


async def test_rules_that_are_made_at_once_do_not_share_a_port(slow: Client) -> None:
    rule = {**RULE, "portRange": "8080", "IPAddress": "203.0.113.9"}
    await begun(slow, "POST", "global/forwardingRules", {**rule, "name": "first"})
    status, _, message = await slow.refused("POST", "global/forwardingRules", {**rule, "name": "second"})
    assert (status, "in-use" in message) == (400, True)


async def test_addresses_that_are_made_at_once_have_numbers_of_their_own(start: Start) -> None:
    client = await start(TwinOptions(operation_time=0.5))

    async def make(name: str) -> None:
        _, operation = await client.call("POST", "global/addresses", {"name": name})
        await client.call("POST", f"global/operations/{operation['name']}/wait")

    await asyncio.gather(*(make(name) for name in ("one", "two", "three")))
    given = [item["address"] for item in (await client.get("global/addresses"))["items"]]
    assert sorted(given) == ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
