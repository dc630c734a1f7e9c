"""The sample app's controls: how many calls are served at a time, and in which order."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import unix_socket
from infra.sample import controls as module
from infra.sample.controls import Controls, Crowded, serve_controls

Steps = list[tuple[str, int]]
steps = st.lists(
    st.tuples(st.sampled_from(["come", "end", "give up", "capacity"]), st.integers(0, 5)), min_size=1, max_size=60
)


class Calls:
    """Calls that last until they are told to end. `served` is those that have their turn, in its order."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls
        self.waiting: list[asyncio.Task[None]] = []
        self.served: list[asyncio.Task[None]] = []
        self.in_order = True
        self._ends: dict[asyncio.Task[None], asyncio.Event] = {}

    async def come(self) -> None:
        end = asyncio.Event()
        task = asyncio.create_task(self._call(end))
        self._ends[task] = end
        self.waiting.append(task)
        await settle()

    async def _call(self, end: asyncio.Event) -> None:
        async with self._controls.turn():
            task = asyncio.current_task()
            assert task is not None
            self.in_order &= task is self.waiting[0]
            self.waiting.remove(task)
            self.served.append(task)
            await end.wait()

    async def end(self, number: int) -> None:
        if self.served:
            self.end_now(number % len(self.served))
            await settle()

    def end_now(self, number: int) -> None:
        self._ends[self.served.pop(number)].set()

    async def give_up(self, number: int) -> None:
        everyone = self.waiting + self.served
        if everyone:
            task = everyone[number % len(everyone)]
            (self.waiting if task in self.waiting else self.served).remove(task)
            task.cancel()
            await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@given(steps)
def test_as_many_are_served_as_may_in_the_order_of_arrival(steps: Steps) -> None:
    async def run() -> None:
        controls = Controls()
        calls = Calls(controls)
        capacity: int | None = None
        for step, number in steps:
            match step:
                case "come":
                    await calls.come()
                case "end":
                    await calls.end(number)
                case "give up":
                    await calls.give_up(number)
                case _:
                    capacity = number or None
                    controls.set(capacity=capacity)
                    await settle()
            assert calls.in_order
            assert len(calls.waiting) == controls.waiting
            if calls.waiting:
                assert capacity is not None
                assert len(calls.served) >= capacity
        controls.set()
        await settle()
        assert not calls.waiting
        while calls.served:
            await calls.end(0)

    asyncio.run(run())


async def test_a_capacity_that_shrinks_ends_no_call() -> None:
    controls = Controls()
    calls = Calls(controls)
    for _ in range(3):
        await calls.come()
    controls.set(capacity=1)
    await calls.come()
    assert (len(calls.served), len(calls.waiting)) == (3, 1)
    for served in (2, 1, 1, 0):
        await calls.end(0)
        assert len(calls.served) == served


async def test_a_call_that_is_given_up_when_its_turn_has_just_come_leaves_it_to_the_next() -> None:
    controls = Controls()
    controls.set(capacity=1)
    calls = Calls(controls)
    for _ in range(3):
        await calls.come()
    calls.end_now(0)
    while controls.waiting == 2:  # noqa: ASYNC110
        await asyncio.sleep(0)
    next_one = calls.waiting.pop(0)
    next_one.cancel()
    await settle()
    assert (len(calls.served), len(calls.waiting)) == (1, 0)


@pytest.mark.looptime
async def test_each_call_takes_longer_by_the_delay() -> None:
    controls = Controls()
    controls.set(delay=30.0)
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with controls.turn():
        assert loop.time() - started == 30.0


async def test_more_than_may_wait_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    controls = Controls()
    controls.set(capacity=1)
    calls = Calls(controls)
    for _ in range(3):
        await calls.come()
    with pytest.raises(Crowded):
        async with controls.turn():
            pass
    with contextlib.suppress(asyncio.CancelledError):
        await calls.give_up(0)
    await calls.come()
    assert controls.waiting == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"delay": -1}, "delay must be seconds from 0 to 3600, not -1"),
        ({"delay": float("nan")}, "delay must be seconds"),
        ({"delay": "1"}, "delay must be a number"),
        ({"capacity": 0}, "capacity must be at least 1"),
        ({"capacity": 1.5}, "capacity must be a whole number"),
        ({"capacity": True}, "capacity must be a whole number"),
        ({"speed": 1}, 'there is no control "speed"'),
    ],
)
async def test_a_bad_line_is_refused_and_changes_nothing(line: dict[str, Any], message: str, tmp_path: Path) -> None:
    controls = Controls()
    controls.set(capacity=1)
    async with serve_controls(tmp_path / "control", controls):
        answer = await unix_socket.ask(tmp_path / "control", line, 30)
        assert message in answer["error"]
        calls = Calls(controls)
        await calls.come()
        await calls.come()
        assert controls.waiting == 1
        assert await unix_socket.ask(tmp_path / "control", {}, 30) == {"ok": True}
        await settle()
        assert controls.waiting == 0
