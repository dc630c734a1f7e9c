"""When the calls of an open loop are due: by the clock alone, however slow the answers are."""

from __future__ import annotations

MOST_BEHIND_SECONDS = 1.0
"""A generator that got no CPU time for longer leaves calls out rather than sending them in one burst."""


class Pace:
    """Counts calls at `rate` a second from `start` on; times are seconds of one clock."""

    def __init__(self, rate: float, start: float) -> None:
        """ValueError: a rate of none."""
        if not 0 < rate < float("inf"):
            raise ValueError(f"a rate must be more than 0 calls a second, not {rate:g}")
        self._rate = rate
        self._start = start
        self._counted = 0

    def due(self, now: float) -> tuple[int, int]:
        """(calls to send now, calls that are left out)."""
        total = max(self._counted, int((now - self._start) * self._rate))
        behind = total - self._counted
        self._counted = total
        left_out = max(0, behind - max(1, int(self._rate * MOST_BEHIND_SECONDS)))
        return behind - left_out, left_out

    @property
    def next(self) -> float:
        """When the next call is due."""
        return self._start + (self._counted + 1) / self._rate
