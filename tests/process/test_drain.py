"""The end of a process: what happens in which order, whatever signals and clients do."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.lifecycle.drain import ACCEPTS_WHILE_CLOSING, Drain, Phase, Policy, Position, Seen, advance
from tests.process.fakes import FakeCore

ORDER = [Phase.SERVING, Phase.ANNOUNCED, Phase.CLOSING, Phase.STOPPED]

seconds = st.floats(0, 100)
moments = st.tuples(st.floats(0, 20), st.integers(0, 1), st.integers(0, 3), st.integers(0, 3))


@given(delay=seconds, grace=seconds, steps=st.lists(moments, max_size=80))
def test_the_phases_follow_each_other_for_a_reason(
    delay: float, grace: float, steps: list[tuple[float, int, int, int]]
) -> None:
    policy, position = Policy(delay, grace), Position(Phase.SERVING, 0.0)
    now, signals = 0.0, 0
    for wait, more, streams, connections in steps:
        now, signals = now + wait, signals + more
        seen = Seen(now, signals, streams, connections)
        while (following := advance(policy, position, seen)) != position:
            elapsed = now - position.since
            empty = streams == connections == 0 and elapsed > ACCEPTS_WHILE_CLOSING
            match position.phase, following.phase:
                case Phase.SERVING, Phase.ANNOUNCED:
                    assert signals >= 1
                case Phase.ANNOUNCED, Phase.CLOSING:
                    assert elapsed >= delay
                    assert signals < 2
                case Phase.ANNOUNCED, Phase.STOPPED:
                    assert signals >= 2
                case Phase.CLOSING, Phase.STOPPED:
                    assert signals >= 2 or elapsed >= grace or empty
                case other:
                    pytest.fail(f"no such step: {other}")
            position = following
        if signals >= 2:
            assert position.phase is Phase.STOPPED
        if signals == 0:
            assert position.phase is Phase.SERVING


@given(delay=seconds, grace=seconds)
def test_a_drain_ends_within_delay_and_grace_whatever_stays_open(delay: float, grace: float) -> None:
    policy, position = Policy(delay, grace), Position(Phase.SERVING, 0.0)
    for now in (0.0, delay, delay + grace):
        for _ in ORDER:
            position = advance(policy, position, Seen(now, 1, 5, 5))
            if position.phase is Phase.STOPPED:
                return
    # The sum may round to just below the last moment.
    assert advance(policy, position, Seen(delay + grace + 1e-6, 1, 5, 5)).phase is Phase.STOPPED


def test_nothing_open_is_believed_only_when_nothing_new_is_accepted() -> None:
    policy, closing = Policy(5.0, 30.0), Position(Phase.CLOSING, 100.0)
    assert advance(policy, closing, Seen(100.9, 1, 0, 0)) == closing
    assert advance(policy, closing, Seen(101.1, 1, 0, 1)) == closing
    assert advance(policy, closing, Seen(101.1, 1, 1, 0)) == closing
    assert advance(policy, closing, Seen(101.1, 1, 0, 0)).phase is Phase.STOPPED


async def running(core: FakeCore, delay: float = 5.0, grace: float = 30.0) -> tuple[Drain, asyncio.Task[None]]:
    drain = Drain(core, lambda: Policy(delay, grace))
    task = asyncio.create_task(drain.run())
    await asyncio.sleep(1)
    return drain, task


@pytest.mark.looptime
async def test_a_drain_announces_waits_closes_and_waits_for_the_last_stream() -> None:
    core = FakeCore()
    core.streams = core.connections = 1
    drain, task = await running(core)
    assert (core.calls, drain.phase) == ([], Phase.SERVING)
    drain.signal()
    await asyncio.sleep(0.01)
    assert (core.calls, drain.phase) == ([("announce_drain",)], Phase.ANNOUNCED)
    await asyncio.sleep(4.9)
    assert core.said("close_connections") == []
    await asyncio.sleep(0.2)
    assert (core.said("close_connections"), drain.phase) == ([()], Phase.CLOSING)
    await asyncio.sleep(10)
    assert not task.done()
    core.streams = core.connections = 0
    await asyncio.sleep(0.1)
    assert task.done()
    assert drain.phase is Phase.STOPPED


@pytest.mark.looptime
async def test_a_stream_that_never_ends_is_cut_after_the_grace_period() -> None:
    core = FakeCore()
    core.streams = 1
    drain, task = await running(core)
    drain.signal()
    await asyncio.wait_for(task, 36)
    assert asyncio.get_running_loop().time() == pytest.approx(36.0, abs=0.2)


@pytest.mark.looptime
@pytest.mark.parametrize("wait", [0.0, 2.0, 7.0])
async def test_a_second_signal_ends_at_once(wait: float) -> None:
    core = FakeCore()
    core.streams = 1
    drain, task = await running(core)
    drain.signal()
    await asyncio.sleep(wait)
    drain.signal()
    await asyncio.wait_for(task, 0.1)
    assert drain.phase is Phase.STOPPED


@pytest.mark.looptime
async def test_a_signal_before_the_drain_is_run_is_not_lost() -> None:
    core = FakeCore()
    drain = Drain(core, lambda: Policy(0.0, 5.0))
    drain.signal()
    await asyncio.wait_for(drain.run(), 2)
    assert core.calls == [("announce_drain",), ("close_connections",)]
