"""Operations: their time, their failures, repeated requests, and what a restart finds."""

from __future__ import annotations

import asyncio
import sys
import uuid
from pathlib import Path

import aiohttp
import pytest

from infra.twin.process import TwinOptions
from tests.twin.conftest import ZONE, Client, Start, running


async def test_nothing_has_changed_before_an_operation_is_done(start: Start) -> None:
    client = await start(TwinOptions(operation_time=0.5))
    status, operation = await client.call("POST", "global/addresses", {"name": "vip"})
    assert (status, operation["status"], operation["progress"]) == (200, "RUNNING", 0)
    assert (await client.refused("GET", "global/addresses/vip"))[0] == 404
    status, waited = await client.call("POST", f"global/operations/{operation['name']}/wait")
    assert (status, waited["status"]) == (200, "DONE")
    assert waited["targetId"] == (await client.get("global/addresses/vip"))["id"]


async def test_a_resource_under_an_operation_is_not_ready(start: Start) -> None:
    client = await start(TwinOptions(operation_time=30.0))
    await client.call("POST", "global/addresses", {"name": "vip"})
    status, reason, _ = await client.refused("POST", "global/addresses", {"name": "vip"})
    assert (status, reason) == (400, "resourceNotReady")


async def test_an_operation_that_fails_changes_nothing(client: Client) -> None:
    await client.own("POST", "faults", {"operations": {"count": 1, "code": "QUOTA_EXCEEDED", "message": "Full."}})
    _, operation = await client.call("POST", "global/addresses", {"name": "vip"})
    assert operation["status"] == "DONE"
    assert operation["error"]["errors"] == [{"code": "QUOTA_EXCEEDED", "message": "Full."}]
    assert (await client.refused("GET", "global/addresses/vip"))[0] == 404
    await client.done("POST", "global/addresses", {"name": "vip"})


async def test_a_repeated_request_is_answered_with_the_first_operation(client: Client) -> None:
    request = str(uuid.uuid4())
    first = await client.done("POST", "global/addresses", {"name": "vip"}, requestId=request)
    again = await client.done("POST", "global/addresses", {"name": "vip"}, requestId=request)
    assert again == first
    assert (await client.refused("POST", "global/addresses", {"name": "b"}, requestId="x"))[0] == 400
    zero = str(uuid.UUID(int=0))
    assert (await client.refused("POST", "global/addresses", {"name": "b"}, requestId=zero))[0] == 400


async def test_a_repeated_attachment_is_answered_though_its_group_is_gone(client: Client) -> None:
    groups, request = f"zones/{ZONE}/networkEndpointGroups", str(uuid.uuid4())
    await client.done("POST", groups, {"name": "group", "defaultPort": 80})
    members = {"networkEndpoints": [{"ipAddress": "10.0.0.1", "instance": "vm"}]}
    first = await client.done("POST", f"{groups}/group/attachNetworkEndpoints", members, requestId=request)
    await client.done("DELETE", f"{groups}/group")
    again = await client.done("POST", f"{groups}/group/attachNetworkEndpoints", members, requestId=request)
    assert again == first


async def test_operations_live_where_their_targets_do(client: Client) -> None:
    made = await client.done("POST", f"zones/{ZONE}/networkEndpointGroups", {"name": "group"})
    assert made["zone"].endswith(f"/zones/{ZONE}")
    assert (await client.get(f"zones/{ZONE}/operations/{made['name']}")) == made
    assert (await client.refused("GET", f"global/operations/{made['name']}"))[0] == 404


async def test_state_survives_a_restart(start: Start, tmp_path: Path) -> None:
    options = TwinOptions(state=tmp_path / "twin.db")
    paths = ("global/backendServices/service", "global/forwardingRules/rule", "global/addresses/second")
    request = str(uuid.uuid4())
    async with running(options) as first:
        await first.make_chain()
        made = await first.done("POST", "global/addresses", {"name": "second"}, requestId=request)
        befores = [await first.get(path) for path in paths]
    second = await start(options)
    for path, before in zip(paths, befores, strict=True):
        after = await second.get(path)
        assert before.keys() == after.keys()
        assert (before["id"], before.get("fingerprint")) == (after["id"], after.get("fingerprint"))
    group = f"zones/{ZONE}/networkEndpointGroups/group"
    assert (await second.get(group))["size"] == 1
    again = await second.done("POST", "global/addresses", {"name": "second"}, requestId=request)
    assert again["name"] == made["name"]
    fresh = await second.done("POST", "global/addresses", {"name": "third"})
    assert int(fresh["id"]) > int(made["id"])


async def run_command(state: Path) -> tuple[asyncio.subprocess.Process, str]:
    command = (sys.executable, "-m", "infra.cli.main", "twin", "--port", "0", "--state", str(state))
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    url = (await process.stdout.readline()).decode().strip()
    return process, url.removesuffix("/compute/v1/")


@pytest.mark.parametrize(("when", "survives"), [("before", False), ("during", False), ("after", True)])
async def test_the_twin_can_be_stopped_around_a_commit(
    client: Client, tmp_path: Path, when: str, survives: bool
) -> None:
    state = tmp_path / "twin.db"
    process, base = await run_command(state)
    stopped = Client(client.session, base)
    await stopped.done("POST", "global/addresses", {"name": "first"})
    await stopped.own("POST", "faults", {"interrupt": {"mutation": 2, "when": when, "do": "stop"}})
    await stopped.done("POST", "global/addresses", {"name": "second"})
    with pytest.raises(aiohttp.ClientConnectionError):
        await stopped.call("POST", "global/addresses", {"name": "third"})
    assert await process.wait() == 137
    process, base = await run_command(state)
    try:
        restarted = Client(client.session, base)
        names = [item["name"] for item in (await restarted.get("global/addresses"))["items"]]
        assert names == ["first", "second", *(["third"] if survives else [])]
    finally:
        process.terminate()
        assert await process.wait() == 0


@pytest.mark.parametrize(("when", "survives"), [("before", False), ("during", False), ("after", True)])
async def test_the_connection_can_be_cut_around_a_commit(client: Client, when: str, survives: bool) -> None:
    await client.own("POST", "faults", {"interrupt": {"when": when, "do": "cut"}})
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.call("POST", "global/addresses", {"name": "vip"})
    status, _ = await client.call("GET", "global/addresses/vip")
    assert status == (200 if survives else 404)


async def test_an_operation_that_was_under_way_ends_after_a_restart(start: Start, tmp_path: Path) -> None:
    state = tmp_path / "twin.db"
    async with running(TwinOptions(state=state, operation_time=1.0)) as first:
        await first.call("POST", "global/addresses", {"name": "vip"})
    second = await start(TwinOptions(state=state))
    _, listed = await second.call("GET", "global/operations")
    _, ended = await second.call("POST", f"global/operations/{listed['items'][0]['name']}/wait")
    assert ended["status"] == "DONE"
    assert (await second.get("global/addresses/vip"))["status"] == "RESERVED"


@pytest.mark.parametrize("body", [{"interrupt": {"when": "soon", "do": "cut"}}, {"operations": {"count": 0}}, {"x": 1}])
async def test_bad_faults_are_refused(client: Client, body: object) -> None:
    status, answer = await client.own("POST", "faults", body)
    assert status == 400
    assert answer["error"]
