"""When a name is asked for again before its time, because an endpoint that it led to was lost.

gRPC's clients do that too, but for their floor: theirs is 30 s, and a server that moved is missed for so long. Here one
second lies between two questions at least, and while they bring what is known already, more and more: a server that is
down and stays in DNS costs a question every half minute.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from gateway.discover.back_off import BackOff

FLOOR = 1.0
"""Seconds between two questions at least."""
LONGEST = 30.0


class Again:
    """The pauses between the questions of one source. `chance` draws numbers in [0, 1)."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._back_off = BackOff(FLOOR, LONGEST, chance)
        self._wanted = asyncio.Event()
        self._was_wanted = False

    def want(self) -> None:
        """A question is wanted sooner than it is due; also while one is under way, whose answer may be too old."""
        self._wanted.set()

    async def pause(self, seconds: float, changed: bool) -> None:
        """Waits for the next question after an answer: `seconds`, or less where it is wanted.

        `changed`: the answer was not the one before.
        """
        floor = FLOOR
        if changed:
            self._back_off.reset()
        elif self._was_wanted:
            floor = max(FLOOR, self._back_off.next())
        self._was_wanted = False
        await asyncio.sleep(min(seconds, floor))
        if seconds > floor:
            try:
                async with asyncio.timeout(seconds - floor):
                    await self._wanted.wait()
                self._was_wanted = True
            except TimeoutError:
                pass
        self._wanted.clear()
