"""The front end carries real traffic as the resources say."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

from infra.twin.process import TwinOptions
from tests.support.backends import SERVICE, GrpcBackend
from tests.twin.balancer import CLIENT_REGIONS, Balancer, Caller, backends, unverifiable
from tests.twin.conftest import Client, Start

US, EUROPE, ASIA = CLIENT_REGIONS


@pytest.fixture
def balancer(client: Client) -> Balancer:
    return Balancer(client)


@pytest.fixture
async def pods() -> AsyncIterator[dict[str, list[GrpcBackend]]]:
    """Two in each region, called by its name and a number."""
    credentials = unverifiable()
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
        answers = await caller(20)
        assert set(answers) == {f"{region}/0", f"{region}/1"}
        assert min(answers.values()) >= 8
    status, health = await balancer.client.call(
        "POST",
        "global/backendServices/service/getHealth",
        {"group": f"zones/{US}-b/networkEndpointGroups/{US}"},
    )
    assert status == 200
    assert [entry["healthState"] for entry in health["healthStatus"]] == ["HEALTHY", "HEALTHY"]


PACE = 0.01
"""Seconds between two calls: what a loaded machine keeps to as well."""
STALL = 0.2
"""Seconds that a call may be late, lest the demand is another than the one that was meant."""


async def spread(caller: Caller) -> dict[str, float]:
    """The share of 800 calls that each region had, a hundred a second. A machine that stalls gets another try."""
    while True:
        # The front end has to see the demand first.
        await caller(300, pace=PACE)
        before = caller.late
        answers = await caller(800, pace=PACE)
        if max(before, caller.late) < STALL:
            break
    shares = Counter[str]()
    for name, count in answers.items():
        shares[name.partition("/")[0]] += count
    return {region: count / 800 for region, count in shares.items()}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        # Half of what America asks for overflows to the next nearest.
        ({US: 25.0, EUROPE: 500.0, ASIA: 500.0}, {US: 1 / 2, EUROPE: 1 / 2}),
        # Nothing has room enough: what is left is spread by capacity.
        ({US: 10.0, EUROPE: 10.0, ASIA: 5.0}, {US: 0.4, EUROPE: 0.4, ASIA: 0.2}),
    ],
)
async def test_what_a_region_cannot_carry_goes_to_the_next(
    balancer: Balancer, pods: dict[str, list[GrpcBackend]], rates: dict[str, float], expected: dict[str, float]
) -> None:
    await balancer.make(addresses(pods))
    await balancer.scale({}, rates)
    clients = await callers(balancer)
    await balancer.healthy(dict.fromkeys(CLIENT_REGIONS, 2))
    assert await spread(clients[US]) == pytest.approx(expected, abs=0.02)


async def test_a_stream_ends_with_the_services_timeout(balancer: Balancer, pods: dict[str, list[GrpcBackend]]) -> None:
    await balancer.make(addresses(pods), {"timeoutSec": 1})
    clients = await callers(balancer)
    await balancer.healthy(dict.fromkeys(CLIENT_REGIONS, 2))
    call: Any = clients[US].channel.stream_stream(f"/{SERVICE}/Bidi")(timeout=30)
    await call.write(b"x")
    assert await call.read() == b"x"
    assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert call.time_remaining() > 20


@pytest.mark.parametrize("seconds", [0, 1])
async def test_what_runs_at_a_detached_endpoint_has_its_time(
    balancer: Balancer, pods: dict[str, list[GrpcBackend]], seconds: int
) -> None:
    await balancer.make(addresses(pods), {"connectionDraining": {"drainingTimeoutSec": seconds}})
    clients = await callers(balancer)
    await balancer.healthy(dict.fromkeys(CLIENT_REGIONS, 2))
    call: Any = clients[US].channel.stream_stream(f"/{SERVICE}/Bidi")(timeout=60)
    await call.write(b"x")
    assert await call.read() == b"x"
    # A group that is drained by its scaler has all the time in the world.
    await balancer.scale({US: 0.0})
    assert set(await clients[US](4)) == {f"{EUROPE}/0", f"{EUROPE}/1"}
    await call.write(b"y")
    assert await call.read() == b"y"
    detached = asyncio.get_running_loop().time()
    await balancer.detach(US, addresses(pods)[US])
    assert await call.code() is grpc.StatusCode.UNAVAILABLE
    assert asyncio.get_running_loop().time() - detached >= seconds


async def test_http_is_redirected_by_the_url_map(balancer: Balancer, pods: dict[str, list[GrpcBackend]]) -> None:
    await balancer.make(addresses(pods))
    done = balancer.client.done
    redirect = {"name": "to-https", "defaultUrlRedirect": {"httpsRedirect": True, "redirectResponseCode": "FOUND"}}
    await done("POST", "global/urlMaps", redirect)
    await done("POST", "global/targetHttpProxies", {"name": "plain", "urlMap": "global/urlMaps/to-https"})
    await balancer.make_rule("plain", "targetHttpProxies/plain", "80")
    listen = (await balancer.listeners("plain"))[EUROPE]
    session = balancer.client.session
    async with session.get(
        f"http://{listen}/a/b?c=d", headers={"host": "shop.example"}, allow_redirects=False
    ) as answer:
        assert (answer.status, answer.headers["location"]) == (302, "https://shop.example/a/b?c=d")


async def test_traffic_follows_when_a_change_has_spread(start: Start, pods: dict[str, list[GrpcBackend]]) -> None:
    balancer = Balancer(await start(TwinOptions(propagation_delay=1.0)))
    await balancer.make(addresses(pods))
    clients = await callers(balancer)
    await balancer.healthy(dict.fromkeys(CLIENT_REGIONS, 2))
    await balancer.scale({US: 0.0})
    drained = asyncio.get_running_loop().time()
    assert (await balancer.client.get("global/backendServices/service"))["backends"][0]["capacityScaler"] == 0
    while set(await clients[US](2)) <= {f"{US}/0", f"{US}/1"}:
        pass
    assert asyncio.get_running_loop().time() - drained >= 1.0


async def test_a_group_takes_what_is_attached_and_leaves_what_is_detached(
    balancer: Balancer, pods: dict[str, list[GrpcBackend]]
) -> None:
    first, second = addresses(pods)[US]
    await balancer.make({US: [first]}, {"connectionDraining": {"drainingTimeoutSec": 30}})
    clients = await callers(balancer)
    await balancer.healthy({US: 1})
    calls = asyncio.create_task(clients[US](300, pace=0.005))
    await balancer.attach(US, [second])
    await balancer.healthy({US: 2})
    await balancer.detach(US, [first])
    answers = await calls
    assert set(answers) == {f"{US}/0", f"{US}/1"}
    while set(await clients[US](2)) != {f"{US}/1"}:
        pass


async def test_a_chain_that_is_taken_down_listens_no_more(
    balancer: Balancer, pods: dict[str, list[GrpcBackend]]
) -> None:
    await balancer.make(addresses(pods))
    listen = (await balancer.listeners())[US]
    await balancer.client.done("DELETE", "global/forwardingRules/rule")
    while (await balancer.client.own("GET", "listeners"))[1]["listeners"]:
        pass
    host, _, port = listen.rpartition(":")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, int(port))


async def test_an_app_that_says_not_serving_is_left_after_the_threshold(
    balancer: Balancer, pods: dict[str, list[GrpcBackend]], caplog: pytest.LogCaptureFixture
) -> None:
    await balancer.make(addresses(pods))
    clients = await callers(balancer)
    await balancer.healthy(dict.fromkeys(CLIENT_REGIONS, 2))
    calls = asyncio.create_task(clients[US](600, pace=0.005))
    pods[US][0].set_serving(False)
    await balancer.healthy({US: 1, EUROPE: 2, ASIA: 2})
    assert "2 probes in a row failed" in caplog.text
    assert set(await calls) == {f"{US}/0", f"{US}/1"}
    assert set(await clients[US](4)) == {f"{US}/1"}


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


DIED_WITH_THE_POD = {
    "CANCELLED: CANCELLED",
    "UNAVAILABLE: Cancelling all calls",
    "UNAVAILABLE: upstream connection closed before the response was complete",
}
"""How calls end that ran in a pod: its server resets them, or ends their connection."""


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
    assert failed <= DIED_WITH_THE_POD, answers
    assert not any(name.startswith(EUROPE) for name in answers), "the next nearest is America"
    assert set(await clients[ASIA](20)) == {f"{US}/0", f"{US}/1"}
