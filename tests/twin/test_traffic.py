"""The front end carries real traffic as the resources say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.backends import GrpcBackend
from tests.twin.balancer import CLIENT_REGIONS, Balancer, Caller, backends
from tests.twin.conftest import Client

US, EUROPE, ASIA = CLIENT_REGIONS


@pytest.fixture
def balancer(client: Client, tmp_path: Path) -> Balancer:
    return Balancer(client, tmp_path)


@pytest.fixture
async def pods(balancer: Balancer) -> AsyncIterator[dict[str, list[GrpcBackend]]]:
    """Two in each region, called by its name and a number."""
    credentials = balancer.credentials()
    with ExitStack() as stack:
        made = {region: backends([f"{region}/0", f"{region}/1"], credentials) for region in CLIENT_REGIONS}
        for pod in (pod for region in made.values() for pod in region):
            stack.enter_context(pod)
        yield made


def addresses(pods: dict[str, list[GrpcBackend]]) -> dict[str, list[str]]:
    return {region: [pod.address for pod in members] for region, members in pods.items()}


async def callers(balancer: Balancer) -> dict[str, Caller]:
    return {region: Caller(listen, balancer.ca) for region, listen in (await balancer.listeners()).items()}


async def test_every_client_gets_the_nearest_region(balancer: Balancer, pods: dict[str, list[GrpcBackend]]) -> None:
    await balancer.make(addresses(pods))
    clients = await callers(balancer)
    await balancer.healthy(dict.fromkeys(CLIENT_REGIONS, 2))
    for region, caller in clients.items():
        assert await caller(20) == {f"{region}/0": 10, f"{region}/1": 10}
    status, health = await balancer.client.call(
        "POST",
        "global/backendServices/service/getHealth",
        {"group": f"zones/{US}-b/networkEndpointGroups/{US}"},
    )
    assert status == 200
    assert [entry["healthState"] for entry in health["healthStatus"]] == ["HEALTHY", "HEALTHY"]


async def test_a_drained_region_loses_no_call(balancer: Balancer, pods: dict[str, list[GrpcBackend]]) -> None:
    await balancer.make(addresses(pods))
    clients = await callers(balancer)
    await balancer.healthy(dict.fromkeys(CLIENT_REGIONS, 2))
    calls = asyncio.create_task(clients[US](400, pace=0.005))
    await asyncio.sleep(0.5)
    await balancer.scale({US: 0.0})
    answers = await calls
    assert {answer.partition("/")[0] for answer in answers} == {US, EUROPE}
    assert set(await clients[US](20)) == {f"{EUROPE}/0", f"{EUROPE}/1"}
    await balancer.scale({US: 1.0})
    while set(await clients[US](4)) != {f"{US}/0", f"{US}/1"}:
        pass


async def test_a_dead_region_is_left(balancer: Balancer, pods: dict[str, list[GrpcBackend]]) -> None:
    await balancer.make(addresses(pods))
    clients = await callers(balancer)
    await balancer.healthy(dict.fromkeys(CLIENT_REGIONS, 2))
    calls = asyncio.create_task(clients[ASIA](600, pace=0.005))
    await asyncio.sleep(0.3)
    for pod in pods[ASIA]:
        await asyncio.to_thread(pod.__exit__, None, None, None)
    await balancer.healthy({US: 2, EUROPE: 2})
    answers = await calls
    assert sum(answers[name] for name in answers if name.startswith(US)) > 100, answers
    failed = {answer for answer in answers if "/" not in answer.partition(":")[0]}
    # Only what ran there when it died: the pod itself ended these.
    assert failed <= {"CANCELLED: CANCELLED"}, answers
    assert set(await clients[ASIA](20)) == {f"{US}/0", f"{US}/1"}
