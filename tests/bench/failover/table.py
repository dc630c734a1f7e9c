"""The table of a run, and whether its goals are reached."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from infra.load.kinds import Kind
from tests.bench.failover.outcome import Outcome
from tests.bench.failover.scenarios import Scenario
from tests.bench.goals import Verdict

HEAD = [
    "fault",
    "propagation",
    "last answer from there",
    "last failing call began",
    "failed, retriable",
    "failed, in flight on dead connections",
    "failed while healing",
    "calls",
]


@dataclass(frozen=True, slots=True)
class Trials:
    """All repetitions of a scenario at one propagation delay in seconds."""

    scenario: Scenario
    propagation: float
    outcomes: tuple[Outcome, ...]

    def row(self) -> list[str]:
        return [
            self.scenario.title,
            f"{self.propagation:g} s",
            _middle_and_worst(outcome.moved for outcome in self.outcomes) or "-",
            _middle_and_worst(outcome.seconds for outcome in self.outcomes) or "none failed",
            _counts(outcome.retriable for outcome in self.outcomes),
            _counts(outcome.others for outcome in self.outcomes),
            _counts(outcome.healing for outcome in self.outcomes),
            f"{sum(outcome.sent for outcome in self.outcomes):,}",
        ]

    @property
    def worst(self) -> float:
        """Seconds; 0 if nothing that began after the fault failed."""
        return max((outcome.seconds or 0.0 for outcome in self.outcomes), default=0.0)


def verdicts(trials: Sequence[Trials]) -> Iterator[Verdict]:
    outcomes = [outcome for each in trials for outcome in each.outcomes]
    retriable = sum(sum(outcome.retriable.values()) + _healing(outcome) for outcome in outcomes)
    yield Verdict("retriable calls that failed, all faults", "", "0", str(retriable), retriable == 0)
    for each in trials:
        subject = f"{each.scenario.title}, propagation {each.propagation:g} s"
        if each.scenario.free:
            failed = sum(outcome.failed for outcome in each.outcomes)
            yield Verdict(f"failed: {subject}", "", "0", str(failed), failed == 0)
        if each.scenario.within is not None:
            reached = each.worst <= each.scenario.within
            yield Verdict(
                f"last failing call: {subject}", "", f"<= {each.scenario.within:g} s", f"{each.worst:.2f} s", reached
            )


def _middle_and_worst(values: Iterable[float | None]) -> str:
    """Of those that there are; "" for none."""
    seconds = [value for value in values if value is not None]
    return f"{statistics.median(seconds):+.2f} / {max(seconds):+.2f} s" if seconds else ""


def _healing(outcome: Outcome) -> int:
    return sum(count for kind, count in outcome.healing.items() if Kind(kind).retriable)


def _counts(kinds: Iterable[dict[str, int]]) -> str:
    """Of all repetitions together."""
    total: Counter[str] = Counter()
    for each in kinds:
        total.update(each)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(total.items())) or "0"
