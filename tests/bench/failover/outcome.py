"""From the calls that failed around a fault to what is said of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from infra.load.generator import Failure


@dataclass(frozen=True, slots=True)
class Outcome:
    """One trial: a fault, time for it to be noticed, and its end.

    `seconds`: when the last call that failed began, after the fault; None if none failed. It counts calls that began
    before the fault as well, with a negative time: they were under way. `retriable` are failures of calls that nobody
    had worked on, `others` all else, both by kind, from the fault until it was healed; `healing` those of calls that
    began while it was healed. `moved`: when the last answer came from what was lost, after the fault; None if that is
    no question.
    """

    sent: int
    seconds: float | None
    retriable: dict[str, int]
    others: dict[str, int]
    healing: dict[str, int]
    moved: float | None = None

    @staticmethod
    def of(sent: int, failures: Sequence[Failure], fault: float, healed: float, moved: float | None = None) -> Outcome:
        """`fault` and `healed`: when each began, in seconds of the failures' clock.

        ValueError: a call failed before the fault, so that nothing can be said.
        """
        early = [failure for failure in failures if failure.ended < fault]
        if early:
            raise ValueError(
                f"{len(early)} calls failed before the fault, the first of {early[0].region}: {early[0].message}"
            )
        during = [failure for failure in failures if failure.started < healed]
        return Outcome(
            sent=sent,
            seconds=max((failure.started - fault for failure in during), default=None),
            retriable=_kinds(failure for failure in during if failure.kind.retriable),
            others=_kinds(failure for failure in during if not failure.kind.retriable),
            healing=_kinds(failure for failure in failures if failure.started >= healed),
            moved=moved,
        )

    @property
    def failed(self) -> int:
        return sum(sum(kinds.values()) for kinds in (self.retriable, self.others, self.healing))


def _kinds(failures: Iterable[Failure]) -> dict[str, int]:
    """Counts by kind, in the order of their names."""
    return dict(sorted(Counter(str(failure.kind) for failure in failures).items()))
