"""How often the API may be read: Google allows a project 1,500 reads a minute, shared by everyone."""

from __future__ import annotations

from dataclasses import dataclass

MINUTE = 60.0


@dataclass(slots=True)
class ReadQuota:
    """`reads` a minute, counted by the minute as Google does; 0 is no limit."""

    reads: int = 0
    _minute: int = -1
    _used: int = 0

    def take(self, now: float) -> bool:
        """False: the minute's reads are used up. `now`: seconds since 1970."""
        if self.reads == 0:
            return True
        minute = int(now // MINUTE)
        if minute != self._minute:
            self._minute, self._used = minute, 0
        self._used += 1
        return self._used <= self.reads
