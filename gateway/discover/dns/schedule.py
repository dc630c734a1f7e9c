"""When a name is asked for again."""

from __future__ import annotations

SHORTEST_TTL = 1.0
LONGEST_TTL = 3600.0
"""Seconds. A TTL of a day would hide a new server for a day."""


def after_answer(ttl: float, empty: bool, interval: float | None, empty_interval: float) -> float:
    """Seconds until the next question. `interval`: the operator's, which outranks the TTL.

    An empty answer is asked for again after `empty_interval` at the latest: negative TTLs are often long, and a service
    that was scaled to nothing comes back.
    """
    if interval is not None:
        return interval
    bounded = min(max(ttl, SHORTEST_TTL), LONGEST_TTL)
    return min(bounded, max(empty_interval, SHORTEST_TTL)) if empty else bounded
