"""How long to wait after failures: gRPC's connection back-off, with a lower ceiling. Pure but for chance.

1 s, then 1.6 times as much each time up to 30 s, a fifth more or less, so that gateways do not come in step.
"""

from __future__ import annotations

import random
from collections.abc import Callable

FACTOR = 1.6
JITTER = 0.2


class BackOff:
    """`chance` draws numbers in [0, 1)."""

    def __init__(self, first: float = 1.0, longest: float = 30.0, chance: Callable[[], float] = random.random) -> None:
        self._first = first
        self._longest = longest
        self._chance = chance
        self._failures = 0

    def next(self) -> float:
        """Seconds to wait after one more failure."""
        wait = min(self._first * FACTOR ** min(self._failures, 64), self._longest)
        self._failures += 1
        return wait * (1 + JITTER * (2 * self._chance() - 1))

    def reset(self) -> None:
        self._failures = 0
