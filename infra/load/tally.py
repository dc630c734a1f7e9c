"""What became of the calls of one client region in a span of time."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.load.kinds import Kind


@dataclass(slots=True)
class Tally:
    """`sent` counts calls that began, everything else those that ended in the span. `pods` has answers by pod."""

    sent: int = 0
    failures: Counter[Kind] = field(default_factory=Counter)
    pods: Counter[str] = field(default_factory=Counter)
    milliseconds: list[float] = field(default_factory=list)

    def answered(self, pod: str, seconds: float) -> None:
        self.pods[pod] += 1
        self.milliseconds.append(seconds * 1000)

    @property
    def ok(self) -> int:
        return len(self.milliseconds)

    def document(self) -> dict[str, Any]:
        """As in a line of the report; p50 and p99 are milliseconds of the calls that were answered, null for none."""
        return {
            "sent": self.sent,
            "ok": self.ok,
            "failures": {str(kind): count for kind, count in sorted(self.failures.items())},
            "pods": dict(sorted(self.pods.items())),
            "p50": percentile(self.milliseconds, 50),
            "p99": percentile(self.milliseconds, 99),
        }


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The least value that so many per cent do not exceed (nearest rank), to the microsecond of a millisecond."""
    if not values:
        return None
    rank = max(1, math.ceil(len(values) * percent / 100))
    return round(sorted(values)[rank - 1], 3)
