"""Passive outlier detection: an endpoint that fails real calls gets none for a while.

The rules are Envoy's (outlier.rst): the time grows with every ejection up to a bound, who behaves works its former
ejections off, and only so many are ejected at once. Unlike there the last endpoint is never ejected.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from gateway.configuration.model import OutlierDetection

EjectionKind = Literal["consecutive-errors", "success-rate", "failure-percentage"]


@dataclass(frozen=True, slots=True)
class Outlier:
    """An endpoint that fails calls. `reason` is for people, without a full stop."""

    address: str
    kind: EjectionKind
    reason: str


@dataclass(frozen=True, slots=True)
class Ejection:
    """The endpoint's last. `times`: how many there were, less those that were worked off when it began."""

    outlier: Outlier
    times: int
    until: float


@dataclass(slots=True)
class Ejections:
    """Those of one backend. Times are seconds of any clock that does not go back."""

    counts: Counter[EjectionKind] = field(default_factory=Counter)
    """How many there were since the start."""
    _past: dict[str, Ejection] = field(default_factory=dict)

    def decide(
        self, outliers: Iterable[Outlier], endpoints: frozenset[str], policy: OutlierDetection, now: float
    ) -> list[Ejection]:
        """Who is ejected now, in the order of `outliers`, where the first has the first claim.

        `endpoints` are all that the backend has now; others are forgotten.
        """
        self._past = {known: past for known, past in self._past.items() if known in endpoints}
        ejected = {past.outlier.address for past in self.standing(now)}
        most = min(max(1, len(endpoints) * policy.max_ejected_percent // 100), len(endpoints) - 1)
        begun: list[Ejection] = []
        for outlier in outliers:
            if len(ejected) >= most:
                break
            if outlier.address not in endpoints or outlier.address in ejected:
                continue
            times = self._times(outlier.address, policy, now) + 1
            until = now + min(policy.base_ejection * times, max(policy.base_ejection, policy.max_ejection))
            ejection = Ejection(outlier, times, until)
            self._past[outlier.address] = ejection
            self.counts[outlier.kind] += 1
            ejected.add(outlier.address)
            begun.append(ejection)
        return begun

    def standing(self, now: float) -> tuple[Ejection, ...]:
        """Those that are not over."""
        return tuple(past for past in self._past.values() if past.until > now)

    def confirm(self, ejected: Collection[str], now: float) -> None:
        """Of those that stand, all but `ejected` were ended by somebody else before their time."""
        for past in self.standing(now):
            if past.outlier.address not in ejected:
                self._past[past.outlier.address] = replace(past, until=now)

    def _times(self, address: str, policy: OutlierDetection, now: float) -> int:
        """One is forgotten for each `base_ejection` since the end of the last."""
        past = self._past.get(address)
        if past is None:
            return 0
        return max(0, past.times - int((now - past.until) / policy.base_ejection))
