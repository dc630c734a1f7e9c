"""How slow a pod is and how many calls it serves at a time, changed from outside while it runs.

`--control PATH` opens a Unix socket that takes lines such as `{"delay": 1.0, "capacity": 2}`: seconds that each call
takes longer, and calls that are served at a time, null for any number. What a line leaves out is off. Health is told
all the while and as fast as ever: a busy pod is not a sick one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any

from infra import unix_socket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MAX_WAITING = 10_000
"""Calls that wait for their turn; those that come later are refused."""
LONGEST_DELAY = 3600.0


class Crowded(Exception):
    """MAX_WAITING calls wait already."""


class Controls:
    """`async with controls.turn(): ...` around each call."""

    def __init__(self) -> None:
        self._delay = 0.0
        self._capacity: int | None = None
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Calls that wait for their turn."""
        return len(self._waiting)

    def set(self, delay: float = 0.0, capacity: int | None = None) -> None:
        """ValueError: a delay that is none, or a capacity below 1."""
        if not 0 <= delay <= LONGEST_DELAY:
            raise ValueError(f"delay must be seconds from 0 to {LONGEST_DELAY:g}, not {delay:g}")
        if capacity is not None and capacity < 1:
            raise ValueError(f"capacity must be at least 1, or null for any number, not {capacity}")
        self._delay, self._capacity = delay, capacity
        self._admit()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for a place in the order of arrival, then for the delay. Crowded."""
        await self._wait()
        try:
            if self._delay:
                await asyncio.sleep(self._delay)
            yield
        finally:
            self._running -= 1
            self._admit()

    async def _wait(self) -> None:
        if self._has_room() and not self._waiting:
            self._running += 1
            return
        if len(self._waiting) >= MAX_WAITING:
            raise Crowded
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with contextlib.suppress(ValueError):
                    self._waiting.remove(turn)
            else:
                self._running -= 1
                self._admit()
            raise

    def _has_room(self) -> bool:
        return self._capacity is None or self._running < self._capacity

    def _admit(self) -> None:
        while self._waiting and self._has_room():
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self._running += 1
                turn.set_result(None)


def serve_controls(path: Path, controls: Controls) -> contextlib.AbstractAsyncContextManager[None]:
    """Takes lines at `path` until the end of the block. OSError."""

    async def answer(line: dict[str, Any]) -> dict[str, Any]:
        controls.set(*_read(line))
        return {"ok": True}

    return unix_socket.serve(path, answer)


def _read(line: dict[str, Any]) -> tuple[float, int | None]:
    """(delay, capacity). ValueError."""
    if unknown := line.keys() - {"delay", "capacity"}:
        raise ValueError(f'there is no control "{min(unknown)}": delay and capacity are all')
    delay, capacity = line.get("delay", 0.0), line.get("capacity")
    if isinstance(delay, bool) or not isinstance(delay, int | float):
        raise ValueError("delay must be a number of seconds")
    if isinstance(capacity, bool) or not isinstance(capacity, int | None):
        raise ValueError("capacity must be a whole number, or null for any number")
    return delay, capacity
