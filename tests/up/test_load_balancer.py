"""The script of calls makes a load balancer in the twin, and the guide shows that script."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from infra.certificates import Authority, KeyPair, new_authority
from infra.twin.process import TwinOptions, twin
from infra.world import endpoint_groups
from infra.world.clusters import DEFAULT_CLUSTERS
from infra.world.compute import Compute, ComputeError
from infra.world.endpoint_groups import EndpointGroups
from infra.world.layout import API_HOST, Block, Layout
from infra.world.load_balancer import NAME, SERVICE_PATH, calls
from tests.support.processes import ROOT

GUIDE = ROOT / "docs" / "guides" / "up.md"
LAYOUT = Layout(Path("/world"), DEFAULT_CLUSTERS, Block(10))
GROUPS = [endpoint_groups.path(zone) for zone in endpoint_groups.zones(LAYOUT)]


@pytest.fixture
async def compute() -> AsyncIterator[Compute]:
    async with twin(TwinOptions()) as address, aiohttp.ClientSession() as session:
        yield Compute(session, f"http://{address}/compute/v1/projects/demo")


@pytest.fixture
async def made(compute: Compute) -> Compute:
    """With a load balancer whose groups are empty."""
    await EndpointGroups(compute, LAYOUT).make()
    await compute.run(calls(GROUPS, Authority(new_authority("test")).issue(API_HOST)))
    return compute


async def test_the_script_makes_the_whole_chain(made: Compute) -> None:
    rule = await made.get(f"global/forwardingRules/{NAME}")
    address = await made.get(f"global/addresses/{NAME}")
    assert (rule["IPAddress"], rule["portRange"]) == (address["address"], "443-443")
    service = await made.get(SERVICE_PATH)
    assert len(service["backends"]) == len(DEFAULT_CLUSTERS)
    certificate = await made.get(f"global/sslCertificates/{NAME}")
    assert certificate["subjectAlternativeNames"] == [API_HOST]


async def test_pods_come_and_go(made: Compute) -> None:
    groups = EndpointGroups(made, LAYOUT)
    first, second = LAYOUT.pods[:2]
    for pod in (first, second, first):
        await groups.attach(pod)
    await groups.detach(first)
    assert (await made.get(endpoint_groups.path(first.zone)))["size"] == 1
    with pytest.raises(ComputeError, match="not in the group"):
        await groups.detach(first)


async def test_changes_of_capacity_at_the_same_time_all_count(made: Compute) -> None:
    zones = endpoint_groups.zones(LAYOUT)
    await asyncio.gather(*(made.set_capacity([zone], 0.5) for zone in zones))
    backends = (await made.get(SERVICE_PATH))["backends"]
    assert [backend["capacityScaler"] for backend in backends] == [0.5] * len(zones)


async def test_a_refused_call_is_named_with_its_reason(made: Compute) -> None:
    (first, *_) = calls(GROUPS, KeyPair("", ""))
    with pytest.raises(ComputeError, match=r"POST .*/global/addresses answers 409: .*already exists") as error:
        await made.run([first])
    assert error.value.status == 409


async def test_an_operation_that_fails_later_is_an_error() -> None:
    options = replace(TwinOptions(), operation_time=0.05)
    async with twin(options) as address, aiohttp.ClientSession() as session:
        compute = Compute(session, f"http://{address}/compute/v1/projects/demo")
        fault = {"operations": {"count": 1, "code": "QUOTA_EXCEEDED", "message": "Full."}}
        async with session.post(f"http://{address}/twin/v1/faults", json=fault) as response:
            assert response.status == 200
        with pytest.raises(ComputeError, match="has failed: Full"):
            await compute.change("POST", "global/addresses", {"name": "vip"})
        await compute.change("POST", "global/addresses", {"name": "vip"})
        assert (await compute.get("global/addresses/vip"))["name"] == "vip"


async def test_a_twin_that_is_gone_is_an_error() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(ComputeError, match="fails"):
            await Compute(session, "http://127.0.0.1:1/compute/v1/projects/demo").get("global/addresses")


def test_the_guide_shows_the_script() -> None:
    shown = re.search(r"<!-- script: begin -->\n(.*)<!-- script: end -->", GUIDE.read_text(), re.DOTALL)
    assert shown is not None
    assert shown[1] == script(), f"put this between the marks in {GUIDE}:\n{script()}"


def script() -> str:
    """The calls as the guide shows them: with one group of several, and with no key."""
    blocks = []
    for call in calls(GROUPS[:1], KeyPair("-----BEGIN CERTIFICATE-----...", "-----BEGIN PRIVATE KEY-----...")):
        body = json.dumps(call.body, indent=2)
        blocks.append(f"{call.does}\n\n```http\n{call.verb} {call.path}\n\n{body}\n```\n")
    return "\n".join(blocks)
