"""How long to wait after failures in a row: gRPC's connection back-off with a lower ceiling. Pure but for chance.

Each time 1.6 times as much, a fifth more or less, so that gateways do not come back in step. Source of both figures:
grpc/doc/connection-backoff.md.
"""

from __future__ import annotations

import random
from collections.abc import Callable

FACTOR = 1.6
JITTER = 0.2


class BackOff:
    """Seconds that grow from `first` to `longest`. `chance` draws numbers in [0, 1)."""

    def __init__(self, first: float = 1.0, longest: float = 30.0, chance: Callable[[], float] = random.random) -> None:
        self._first = first
        self._longest = longest
        self._chance = chance
        self.failures = 0

    def next(self) -> float:
        """The delay after one more failure."""
        # The exponent is bounded too: 1.6 ** 10000 is no float.
        delay = min(self._first * FACTOR ** min(self.failures, 100), self._longest)
        self.failures += 1
        return delay * (1 + JITTER * (2 * self._chance() - 1))

    def reset(self) -> None:
        self.failures = 0
