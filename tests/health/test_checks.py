"""Checks in virtual time: when they run, how long they may take, what counts."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio

from healthcheck.server import Check, HealthServer

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


class Attached:
    """Health on a server that never starts, so that no time passes but the loop's."""

    def __init__(self) -> None:
        self.servers: list[HealthServer] = []

    async def __call__(self, check: Any) -> HealthServer:
        health = await HealthServer.attach(grpc.aio.server(), checks={"it": check})
        self.servers.append(health)
        return health


@pytest_asyncio.fixture
async def attach() -> AsyncIterator[Attached]:
    attached = Attached()
    yield attached
    for health in attached.servers:
        await health.stop(delay=0, grace=0)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_it_runs_at_its_interval_give_or_take_a_tenth(attach: Attached) -> None:
    times: list[float] = []

    async def run() -> None:
        times.append(now())

    await attach(Check(run, interval=10))
    await asyncio.sleep(1000)
    pauses = [after - before for before, after in itertools.pairwise(times)]
    assert 90 <= len(times) <= 112
    assert all(9 <= pause <= 11 for pause in pauses)
    assert len(set(pauses)) > 50


async def test_a_run_that_takes_too_long_is_cancelled_and_fails(attach: Attached) -> None:
    ended: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    health = await attach(Check(hang, interval=10, timeout=3))
    assert (health.serving, health.checks["it"].error) == ({"": False}, "no result within 3 s")
    assert now() == pytest.approx(3, abs=0.1)
    await asyncio.sleep(35)
    assert len(ended) == 4


async def test_a_run_that_ignores_its_cancellation_gets_no_second_beside_it(attach: Attached) -> None:
    running = 0
    most = 0

    async def stubborn() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(25):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(1)
        running -= 1

    health = await attach(Check(stubborn, interval=5, timeout=1))
    await asyncio.sleep(12)
    assert (running, health.checks["it"].error) == (1, "the run before has not ended yet")
    await asyncio.sleep(200)
    assert most == 1


@pytest.mark.parametrize(("failures", "outcome"), [(1, [False, False, False, True]), (3, [True, True, False, True])])
async def test_failures_in_a_row_count_and_one_pass_is_enough(
    attach: Attached, failures: int, outcome: list[bool]
) -> None:
    results = iter([True, False, True, False, False, False, True])
    seen: list[bool] = []

    async def run() -> bool:
        return next(results, True)

    health = await attach(Check(run, interval=10, failures=failures))
    assert health.serving == {"": True}
    await asyncio.sleep(25)
    for _ in range(4):
        await asyncio.sleep(10)
        seen.append(health.serving[""])
    assert seen == outcome


async def test_what_never_passed_does_not_serve_whatever_may_fail(
    attach: Attached, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> bool:
        return False

    health = await attach(Check(fail, interval=10, failures=5))
    assert (health.serving, health.checks["it"].error) == ({"": False}, "returned False")
    assert "Check it fails: returned False." in caplog.messages


async def test_a_plain_function_fails_with_what_is_wrong(attach: Attached) -> None:
    health = await attach(lambda: None)
    assert not health.serving[""]
    assert "TypeError" in health.checks["it"].error


async def test_changes_are_logged_and_only_changes(attach: Attached, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tidegate.health")
    broken = False

    async def run() -> None:
        if broken:
            message = "no route"
            raise OSError(message)

    await attach(Check(run, interval=1))
    await asyncio.sleep(50)
    broken = True
    await asyncio.sleep(50)
    broken = False
    await asyncio.sleep(50)
    assert [record.message for record in caplog.records if record.name == "tidegate.health"] == [
        "Check it passes.",
        "The server is SERVING.",
        "Check it fails: OSError: no route.",
        "The server is NOT_SERVING.",
        "Check it passes.",
        "The server is SERVING.",
    ]


async def test_an_attach_that_is_given_up_leaves_nothing_running() -> None:
    async def hang() -> None:
        await asyncio.sleep(3600)

    before = asyncio.all_tasks()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await HealthServer.attach(grpc.aio.server(), checks={"it": Check(hang, timeout=100)})
    await asyncio.sleep(0.1)
    assert asyncio.all_tasks() == before
