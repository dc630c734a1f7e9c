"""How many requests come in a second, from counters that only grow."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW = 2.0
"""Seconds over which a rate is an average."""


@dataclass(slots=True)
class Rate:
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def count(self, now: float, total: int) -> None:
        """`total` as it is at `now`, in seconds of any clock; one that is less than before begins anew."""
        if self._seen and total < self._seen[-1][1]:
            self._seen.clear()
        self._seen.append((now, total))
        while len(self._seen) > 2 and self._seen[1][0] <= now - WINDOW:
            self._seen.popleft()

    @property
    def per_second(self) -> float:
        if len(self._seen) < 2:
            return 0.0
        (began, before), (ended, after) = self._seen[0], self._seen[-1]
        return (after - before) / (ended - began) if ended > began else 0.0
