"""Every change, as an event: for programs as JSON, for people in words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from healthcheck.state.health import Verdict


class Change(StrEnum):
    """Which part of `Health` changed."""

    OBSERVED = "observed"
    ADMIN = "admin"
    EJECTION = "ejection"
    DAMPING = "damping"


_CONSEQUENCES = {
    Verdict.HEALTHY: "It gets calls.",
    Verdict.UNKNOWN: "It gets calls only while no endpoint is healthy.",
    Verdict.UNHEALTHY: "It gets no calls.",
    Verdict.DRAINED: "It gets no calls.",
}


@dataclass(frozen=True, slots=True)
class Event:
    """`change` went from `before` to `after` at `time` (the machine's), and `verdict` is what follows for calls now.

    `reason` is one CamelCase word, as in Kubernetes' conditions; `message` is the same for people, without a full stop.
    """

    time: float
    endpoint: str
    change: Change
    before: str
    after: str
    reason: str
    message: str
    verdict: Verdict

    def json(self, epoch: float = 0.0) -> str:
        """One line. `epoch`: what to add to `time` to have seconds since 1970; by default it is that already."""
        moment = datetime.fromtimestamp(epoch + self.time, UTC)
        return json.dumps(
            {
                "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
                "endpoint": self.endpoint,
                "change": self.change,
                "before": self.before,
                "after": self.after,
                "reason": self.reason,
                "message": self.message,
                "verdict": self.verdict,
            }
        )

    def __str__(self) -> str:
        consequence = _CONSEQUENCES[self.verdict]
        return f"{self.endpoint}: {self.change} {self.before} -> {self.after}: {self.message}. {consequence}"
