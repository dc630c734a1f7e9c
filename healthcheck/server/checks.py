"""Checks of what a service depends on: run in the background, answered from what the last run said."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from healthcheck.state import Schedule

JITTER = 0.1


@dataclass(frozen=True, slots=True)
class Check:
    """`run` is an async function: it passes unless it raises, returns False, or takes longer than `timeout` seconds.

    It is run every `interval` seconds, varied by a tenth. One that passed fails after `failures` bad runs in a row; one
    pass is enough to pass again. ValueError: no async function, or a number that makes no sense.
    """

    run: Callable[[], Awaitable[object]]
    interval: float = 5.0
    timeout: float = 2.0
    failures: int = 1

    def __post_init__(self) -> None:
        run: object = self.run
        if not callable(run):
            message = f"A check is an async function, not {run!r}."
            raise ValueError(message)
        if not 0 < self.interval < float("inf") or not 0 < self.timeout < float("inf") or self.failures < 1:
            message = f"A check wants an interval and a time-out above 0, and at least one failure: {self}."
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What is known of a check. `error` says what was wrong with the last run, "" nothing; `time` is when it ended on
    the loop's clock, None: it has not been run yet."""

    passing: bool = False
    error: str = "not run yet"
    time: float | None = None


class CheckRunner:
    """Runs one check over and over; `report` is what came of it."""

    def __init__(self, name: str, check: Check, changed: Callable[[str, CheckReport], None]) -> None:
        """`changed` is called with the name and the report whenever `passing` is another than before."""
        self._name = name
        self._check = check
        self._changed = changed
        self._schedule = Schedule(check.interval, JITTER)
        self._running: asyncio.Task[object] | None = None
        self._bad_runs = 0
        self.report = CheckReport()
        self.attempted = asyncio.Event()
        """The first run is over."""

    async def run(self) -> None:
        """Runs until it is cancelled; then what still runs is cancelled too, and not waited for."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while True:
                self._take(await self._once())
                self.attempted.set()
                due = self._schedule.following(due, loop.time(), random.random())  # noqa: S311
                await asyncio.sleep(due - loop.time())
        finally:
            if self._running is not None:
                self._running.cancel()

    async def _once(self) -> str:
        """What is wrong, or "". A run that ignores its cancellation is not joined by a second one."""
        if self._running is not None and not self._running.done():
            return "the run before has not ended yet"
        task = self._running = asyncio.create_task(_call(self._check.run), name=f"check {self._name}")
        task.add_done_callback(_error_of)
        done, _ = await asyncio.wait({task}, timeout=self._check.timeout)
        if not done:
            task.cancel()
            return f"no result within {self._check.timeout:g} s"
        return _error_of(task)

    def _take(self, error: str) -> None:
        before = self.report.passing
        self._bad_runs = self._bad_runs + 1 if error else 0
        passing = not error or (before and self._bad_runs < self._check.failures)
        self.report = CheckReport(passing, error, asyncio.get_running_loop().time())
        if passing is not before or not self.attempted.is_set():
            self._changed(self._name, self.report)


def _error_of(task: asyncio.Task[object]) -> str:
    """What is wrong with a run that has ended, or "". Looking at it keeps asyncio from complaining that nobody did."""
    if task.cancelled():
        return "cancelled"
    error = task.exception()
    if error is not None:
        return f"{type(error).__name__}: {error}"
    return "returned False" if task.result() is False else ""


async def _call(run: Callable[[], Awaitable[object]]) -> object:
    return await run()
