"""What became of the calls around the end of a backend that was killed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.load import Failure, Outcome

CLOSING_SECONDS = 0.05
"""The kernel closes the sockets of a killed process a moment after the signal; a call sent in between was on one. At
most so long, however late the end of the process was seen."""


@dataclass(frozen=True, slots=True)
class Death:
    """One repetition.

    `open` are the calls that the backend had not answered when it was killed, those sent to it until its sockets were
    closed included; `cut` those that the proxy lost with a connection, by its own account: also what was on its way to
    the backend. None: it does not say. `late` are failed calls of a later time. `seconds` from the kill until no call
    failed any more.
    """

    sent: int
    failed: int
    open: int
    late: int
    seconds: float
    kinds: dict[str, int]
    cut: int | None = None

    @staticmethod
    def of(outcome: Outcome, open_calls: int, killed: float, gone: float, cut: int | None = None) -> Death:
        """`killed`: when, in seconds of `time.monotonic`; `gone`: when the process was seen to have ended."""
        failures = outcome.failures
        closed = min(gone, killed + CLOSING_SECONDS)
        closing = [one for one in failures if killed < one.sent <= closed]
        return Death(
            sent=outcome.sent,
            failed=sum(outcome.failed.values()),
            open=open_calls + len(closing),
            late=sum(one.sent > closed for one in failures),
            seconds=_until_none(failures, killed),
            kinds=dict(outcome.failed),
            cut=cut,
        )

    @property
    def excused(self) -> int:
        """The calls that were open on the dead connection."""
        return max(self.open, self.cut or 0)


def _until_none(failures: Sequence[Failure], killed: float) -> float:
    return max((one.ended - killed for one in failures), default=0.0)


@dataclass(frozen=True, slots=True)
class Deaths:
    """All repetitions of one contender."""

    name: str
    title: str
    each: tuple[Death, ...]

    def row(self) -> list[str]:
        kinds: dict[str, int] = {}
        for death in self.each:
            for kind, count in death.kinds.items():
                kinds[kind] = kinds.get(kind, 0) + count
        return [
            self.title,
            _middle_and_worst([death.failed for death in self.each]),
            _middle_and_worst([death.open for death in self.each]),
            _middle_and_worst([death.cut for death in self.each if death.cut is not None]),
            _middle_and_worst([death.late for death in self.each]),
            _middle_and_worst([death.seconds * 1000 for death in self.each], " ms"),
            f"{statistics.median(death.sent for death in self.each):.0f}",
            ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items())) or "-",
        ]

    @property
    def worst(self) -> int:
        return max(death.failed for death in self.each)

    @property
    def within_open(self) -> bool:
        """In no repetition more calls failed than were open on the dead connection."""
        return all(death.failed <= death.excused for death in self.each)


HEAD = [
    "",
    "failed: median / worst",
    "open at the dead backend",
    "lost with a connection",
    "failed, sent later",
    "until none fails",
    "calls",
    "how they failed, all repetitions",
]


def _middle_and_worst(values: Sequence[float], unit: str = "") -> str:
    return f"{statistics.median(values):.0f} / {max(values):.0f}{unit}" if values else "-"
