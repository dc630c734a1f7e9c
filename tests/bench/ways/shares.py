"""From counts of what each pod served, taken again and again, to shares and to the time until they are even. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WINDOW = 1.0
"""Seconds over which a share is looked at."""
ENOUGH = 0.9
"""A pod has its share once it gets this part of an even one."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Calls that each pod has served until `time` (seconds)."""

    time: float
    served: Mapping[str, int]


def served_between(first: Sample, last: Sample, pods: Sequence[str]) -> tuple[int, ...]:
    """Calls by pod, in their order."""
    return tuple(last.served.get(pod, 0) - first.served.get(pod, 0) for pod in pods)


def have_their_share(served: Sequence[int]) -> bool:
    return sum(served) > 0 and min(served) >= ENOUGH * sum(served) / len(served)


def time_of_share(samples: Sequence[Sample], pods: Sequence[str], since: float) -> float | None:
    """Seconds from `since` to the first sample after which every pod had its share of a WINDOW; None: there is none."""
    for index, first in enumerate(samples):
        if first.time < since:
            continue
        last = next((one for one in samples[index + 1 :] if one.time >= first.time + WINDOW), None)
        if last is None:
            return None
        if have_their_share(served_between(first, last, pods)):
            return first.time - since
    return None


def percentages(served: Sequence[int]) -> str:
    """As `34 / 33 / 33 %`."""
    total = sum(served)
    return " / ".join(f"{100 * calls / total:.0f}" if total else "-" for calls in served) + " %"
