"""How long to wait after failures in a row."""

from __future__ import annotations

import random


class BackOff:
    """Seconds that grow by the factor 1.6 from `first` to `longest`, a fifth more or less by chance, so that many
    gateways do not come back to a registry in step. Factor and jitter are those of gRPC's connection back-off.
    """

    def __init__(self, first: float = 0.2, longest: float = 30.0) -> None:
        self._first = first
        self._longest = longest
        self.failures = 0

    def next(self) -> float:
        """The delay after one more failure."""
        # The exponent is bounded too: 1.6 ** 10000 is no float.
        delay = min(self._first * 1.6 ** min(self.failures, 100), self._longest)
        self.failures += 1
        return delay * random.uniform(0.8, 1.2)  # noqa: S311  chance, no secret

    def reset(self) -> None:
        self.failures = 0
