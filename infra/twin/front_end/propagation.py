"""The world as the front end knows it: some time behind the one that the API shows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from infra.twin.world import Change, World


class Propagation:
    """Follows an engine's changes `delay` seconds later. `now` is any clock's."""

    def __init__(self, world: World, delay: float, now: Callable[[], float]) -> None:
        self.world = world.copy()
        self.changed = asyncio.Event()
        """Set when the world has changed; whoever looks clears it."""
        self.watchers: list[Callable[[Change], None]] = []
        """Told of every change once it has arrived."""
        self._delay = delay
        self._now = now
        self._under_way: deque[tuple[float, Change]] = deque()
        self._told = asyncio.Event()
        self.changed.set()

    def made(self, change: Change) -> None:
        """The API has made a change."""
        self._under_way.append((self._now() + self._delay, change))
        if self._delay <= 0:
            self._arrive()
        self._told.set()

    async def run(self) -> None:
        """Lets changes arrive when it is time, until it is cancelled."""
        while True:
            self._told.clear()
            self._arrive()
            wait = self._under_way[0][0] - self._now() if self._under_way else None
            try:
                async with asyncio.timeout(wait):
                    await self._told.wait()
            except TimeoutError:
                continue

    def _arrive(self) -> None:
        while self._under_way and self._under_way[0][0] <= self._now():
            change = self._under_way.popleft()[1]
            self.world.apply(change)
            self.changed.set()
            for watcher in self.watchers:
                watcher(change)
