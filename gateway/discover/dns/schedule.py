"""When a name is asked for again."""

from __future__ import annotations

from dataclasses import dataclass

SHORTEST_TTL = 1.0
LONGEST_TTL = 3600.0
"""Seconds. A TTL of a day would hide a new server for a day."""

FIRST_PAUSE = 1.0
GROWTH = 1.6
LONGEST_PAUSE = 30.0
"""Seconds after failures: gRPC's connection back-off (grpc/doc/connection-backoff.md) with a shorter end, as the
question costs one datagram."""

JITTER = 0.2


def after_answer(ttl: float, empty: bool, interval: float | None, empty_interval: float) -> float:
    """Seconds until the next question. `interval`: the operator's, which outranks the TTL.

    An empty answer is asked for again after `empty_interval` at the latest: negative TTLs are often long, and a service
    that was scaled to nothing comes back.
    """
    if interval is not None:
        return interval
    bounded = min(max(ttl, SHORTEST_TTL), LONGEST_TTL)
    return min(bounded, max(empty_interval, SHORTEST_TTL)) if empty else bounded


@dataclass(slots=True)
class BackOff:
    """Pauses that grow while questions fail."""

    failures: int = 0

    def failed(self, chance: float) -> float:
        """Seconds until the next question, spread by `chance` (0 to 1) so that gateways do not ask in step."""
        pause = min(FIRST_PAUSE * GROWTH ** min(self.failures, 100), LONGEST_PAUSE)
        self.failures += 1
        return pause * (1 - JITTER + 2 * JITTER * chance)

    def answered(self) -> None:
        self.failures = 0
