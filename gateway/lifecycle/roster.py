"""Keeps one long-running worker for each key of a set that changes while they run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

log = logging.getLogger("tidegate.lifecycle")

RESTART_DELAY = 1.0


class Worker(Protocol):
    async def run(self) -> None:
        """Works until it is cancelled."""


Key = TypeVar("Key", bound=Hashable)
AnyWorker = TypeVar("AnyWorker", bound=Worker)


class Roster(Generic[Key, AnyWorker]):
    """Workers that `keep` adds or ends. A worker that fails is logged and started again; its neighbours go on."""

    def __init__(self, make: Callable[[Key], AnyWorker]) -> None:
        self._make = make
        self._workers: dict[Key, AnyWorker] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None

    def keep(self, keys: Iterable[Key]) -> None:
        """Makes workers for keys that are new and ends those whose key is gone."""
        wanted = dict.fromkeys(keys)
        for key in [key for key in self._workers if key not in wanted]:
            del self._workers[key]
            if (task := self._tasks.pop(key, None)) is not None:
                task.cancel()
        for key in wanted:
            if key not in self._workers:
                self._workers[key] = self._make(key)
                self._start(key)

    def __getitem__(self, key: Key) -> AnyWorker:
        return self._workers[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._workers))

    async def run(self) -> None:
        """Runs the workers until it is cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for key in self._workers:
                    self._start(key)
                await asyncio.get_running_loop().create_future()
        finally:
            self._group = None
            self._tasks.clear()

    def _start(self, key: Key) -> None:
        if self._group is not None:
            self._tasks[key] = self._group.create_task(_supervise(self._workers[key]), name=str(key))


async def _supervise(worker: Worker) -> None:
    while True:
        try:
            await worker.run()
        except Exception:
            log.exception("A background worker failed; it starts again in %g s.", RESTART_DELAY)
        await asyncio.sleep(RESTART_DELAY)
