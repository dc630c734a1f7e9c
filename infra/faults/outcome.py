"""What became of each pod that a fault was meant for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.faults.target import FaultError


@dataclass(frozen=True, slots=True)
class Outcome:
    """`fault` is what the pod has now, "" for none. `done`, or else `error`, is the second half of a sentence."""

    pod: str
    fault: str
    done: str = ""
    error: str = ""

    def __str__(self) -> str:
        return f"{self.pod}: {self.done or self.error}"

    def as_dict(self) -> dict[str, str | None]:
        """For JSON, where null stands for what there is not."""
        return {"pod": self.pod, "fault": self.fault or None, "done": self.done or None, "error": self.error or None}


class SomeFailed(FaultError):
    """It did not work for some pods; the message tells what became of each, and so does `outcomes`."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        super().__init__("; ".join(map(str, outcomes)))
        self.outcomes = tuple(outcomes)


def read_outcome(entry: Mapping[str, Any]) -> Outcome:
    """What `as_dict` made of one. ValueError."""
    pod, fault, done, error = (entry.get(key) or "" for key in ("pod", "fault", "done", "error"))
    if not (isinstance(pod, str) and isinstance(fault, str) and isinstance(done, str) and isinstance(error, str)):
        raise ValueError("an outcome's pod, fault, done and error are text or null")
    return Outcome(pod, fault, done, error)


def whole(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """All of them, where each pod was dealt with. SomeFailed."""
    if any(outcome.error for outcome in outcomes):
        raise SomeFailed(outcomes)
    return list(outcomes)
