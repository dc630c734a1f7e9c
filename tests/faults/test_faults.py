"""Every fault but the partition, made and healed in real processes."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2

from infra.faults.outcome import Outcome, SomeFailed
from infra.faults.target import FaultError
from tests.faults.pods import Pods, echo, follow_health, health, stalls
from tests.support.waiting import wait_for

STATUS = health_pb2.HealthCheckResponse
FIRST, SECOND, OTHER = "us-central1/0", "us-central1/1", "europe-west1/0"


async def test_a_killed_pod_is_gone_until_it_is_started_anew(pods: Pods) -> None:
    before = await pods.start(FIRST)
    (said,) = await pods.faults.inject("kill", FIRST)
    assert said.pod == FIRST
    assert str(before.app) in said.done
    assert await pods.ended(FIRST) == -9
    assert pods.faults.active() == {FIRST: "kill"}
    assert await pods.faults.inject("heal", FIRST) == [Outcome(FIRST, "", "started anew")]
    assert pods.restarted == [FIRST]
    assert pods.faults.active() == {}
    async with pods.channel(FIRST) as channel:
        assert await echo(channel) == FIRST


async def test_a_pod_that_does_not_start_again_is_still_killed(pods: Pods) -> None:
    await pods.start(FIRST)
    await pods.faults.inject("kill", FIRST)
    await pods.ended(FIRST)
    pods.does_start = False
    with pytest.raises(FaultError, match="us-central1/0: it was not ready"):
        await pods.faults.inject("heal", FIRST)
    assert pods.faults.active() == {FIRST: "kill"}
    pods.does_start = True
    await pods.faults.inject("heal", FIRST)
    assert pods.faults.active() == {}


@pytest.mark.parametrize("fault", [None, "slow", "hang"])
async def test_a_pod_that_anybody_killed_is_started_anew(fault: str | None, pods: Pods) -> None:
    before = await pods.start(FIRST)
    if fault:
        await pods.faults.inject(fault, FIRST)
    os.kill(before.app, signal.SIGKILL)
    await pods.ended(FIRST)
    for further in ("slow", "overload"):
        with pytest.raises(FaultError, match=f"{FIRST}: is gone|heal first"):
            await pods.faults.inject(further, FIRST)
    assert await pods.faults.inject("heal", FIRST) == [Outcome(FIRST, "", "started anew")]
    async with pods.channel(FIRST) as channel:
        assert await echo(channel) == FIRST
    assert await pods.faults.inject("heal", FIRST) == [Outcome(FIRST, "", "has no fault")]


async def test_a_hung_pod_keeps_its_connections_and_answers_when_healed(pods: Pods) -> None:
    target = await pods.start(FIRST)
    async with pods.channel(FIRST) as channel:
        await echo(channel)
        await pods.faults.inject("hang", FIRST)
        await asyncio.to_thread(wait_for, "the process to stand still", lambda: _state(target.app) == "T")
        pending = asyncio.create_task(echo(channel))
        assert await stalls(pending)
        await pods.faults.inject("heal", FIRST)
        assert await pending == FIRST


def _state(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


async def test_a_pod_that_is_not_serving_goes_on_answering(pods: Pods) -> None:
    await pods.start(FIRST)
    async with pods.channel(FIRST) as channel:
        for fault, status in (("not-serving", STATUS.NOT_SERVING), ("heal", STATUS.SERVING)):
            await pods.faults.inject(fault, FIRST)
            await follow_health(channel, status)
            assert await echo(channel) == FIRST


async def test_a_slow_pod_misses_a_deadline_that_it_meets_when_healed(pods: Pods) -> None:
    await pods.start(FIRST)
    async with pods.channel(FIRST) as channel:
        await echo(channel)
        await pods.faults.inject("slow", FIRST)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await echo(channel, seconds=0.5)
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert await health(channel) == STATUS.SERVING
        await pods.faults.inject("heal", FIRST)
        assert await echo(channel) == FIRST


async def test_an_overloaded_pod_lets_calls_wait(pods: Pods) -> None:
    """Ten a second at most: of 30 that come at once, 20 and more are not answered within a second."""
    await pods.start(FIRST)
    async with pods.channel(FIRST) as channel:
        await echo(channel)
        await pods.faults.inject("overload", FIRST)
        outcomes = await asyncio.gather(*(echo(channel, seconds=1.0) for _ in range(30)), return_exceptions=True)
        late = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
        assert len(late) >= 20
        assert {error.code() for error in late} == {grpc.StatusCode.DEADLINE_EXCEEDED}
        await pods.faults.inject("heal", FIRST)
        assert await asyncio.gather(*(echo(channel) for _ in range(30))) == [FIRST] * 30


async def test_a_region_is_all_of_its_pods_and_no_other(pods: Pods) -> None:
    await asyncio.gather(pods.start(FIRST), pods.start(SECOND), pods.start(OTHER))
    assert len(await pods.faults.inject("hang", "us-central1")) == 2
    assert pods.faults.active() == {FIRST: "hang", SECOND: "hang"}
    async with pods.channel(OTHER) as channel:
        assert await echo(channel) == OTHER
    assert await pods.faults.inject("heal", "europe-west1") == [Outcome(OTHER, "", "has no fault")]
    await pods.faults.inject("heal", "us-central1")
    assert pods.faults.active() == {}


async def test_a_pod_has_one_fault_at_a_time(pods: Pods) -> None:
    await asyncio.gather(pods.start(FIRST), pods.start(SECOND))
    await pods.faults.inject("slow", FIRST)
    with pytest.raises(FaultError, match=r"heal first: us-central1/0 \(slow\)"):
        await pods.faults.inject("kill", "us-central1")
    assert pods.faults.active() == {FIRST: "slow"}
    async with pods.channel(SECOND) as channel:
        assert await echo(channel) == SECOND
    assert await pods.faults.inject("slow", "us-central1") == [
        Outcome(FIRST, "slow", "has the fault slow already"),
        Outcome(SECOND, "slow", "takes 1 s longer for each call"),
    ]


async def test_a_pod_that_was_started_anew_has_no_fault(pods: Pods) -> None:
    target = await pods.start(FIRST)
    await pods.faults.inject("slow", FIRST)
    pods.targets[FIRST] = await pods.start(SECOND)
    assert target != pods.targets[FIRST]
    assert pods.faults.active() == {}


@pytest.mark.parametrize(
    ("fault", "where", "message"),
    [
        ("kil", FIRST, 'did you mean "kill"'),
        ("explode", FIRST, "there are kill, hang, not-serving, partition, slow, overload and heal"),
        ("kill", "asia-east1", "regions are us-central1; pods are us-central1/0"),
        ("kill", "us-central1/7", 'there is no "us-central1/7"'),
    ],
)
async def test_what_does_not_exist_is_refused(fault: str, where: str, message: str, pods: Pods) -> None:
    await pods.start(FIRST)
    with pytest.raises(FaultError, match=message):
        await pods.faults.inject(fault, where)
    assert pods.faults.active() == {}


async def test_what_became_of_each_pod_is_told_when_one_fails(pods: Pods) -> None:
    await asyncio.gather(pods.start(FIRST), pods.start(SECOND))
    await pods.faults.inject("kill", FIRST)
    await pods.ended(FIRST)
    await pods.faults.inject("heal", SECOND)
    gone = pods.targets[FIRST]
    pods.targets["us-central1/2"] = type(gone)("us-central1/2", gone.region, gone.app, gone.gateway, gone.control)
    del pods.targets[FIRST]
    with pytest.raises(
        SomeFailed, match=r"us-central1/1: stands still.*; us-central1/2: process .* has ended"
    ) as failed:
        await pods.faults.inject("hang", "us-central1")
    assert [(each.pod, each.fault, bool(each.done), bool(each.error)) for each in failed.value.outcomes] == [
        (SECOND, "hang", True, False),
        ("us-central1/2", "", False, True),
    ]
    assert pods.faults.active() == {SECOND: "hang"}
