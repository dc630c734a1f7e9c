"""Passive outlier detection: an endpoint that fails real calls again and again gets none for a while.

The rules are Envoy's (outlier_detection.rst): the time grows with every ejection up to a bound, who behaves works its
former ejections off, and only so many are ejected at once. Unlike there the last endpoint is never ejected.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.configuration.model import OutlierDetection


@dataclass(frozen=True, slots=True)
class _Past:
    """`times` ejections so far, the last of which ends at `until`."""

    times: int
    until: float


@dataclass(slots=True)
class Ejections:
    """Those of one backend. Times are seconds of any clock that does not go back."""

    _past: dict[str, _Past] = field(default_factory=dict)

    def decide(self, address: str, endpoints: frozenset[str], policy: OutlierDetection, now: float) -> float | None:
        """Until when `address`, which has just failed too often in a row, is left out; None: it is not.

        `endpoints` are all that the backend has now; others are forgotten.
        """
        self._past = {known: past for known, past in self._past.items() if known in endpoints}
        if address not in endpoints:
            return None
        ejected = {known for known, past in self._past.items() if past.until > now}
        most = min(max(1, len(endpoints) * policy.max_ejected_percent // 100), len(endpoints) - 1)
        if address in ejected or len(ejected) >= most:
            return None
        times = self._times(address, policy, now) + 1
        until = now + min(policy.base_ejection * times, max(policy.base_ejection, policy.max_ejection))
        self._past[address] = _Past(times, until)
        return until

    def _times(self, address: str, policy: OutlierDetection, now: float) -> int:
        """One is forgotten for each `base_ejection` since the end of the last."""
        past = self._past.get(address)
        if past is None:
            return 0
        return max(0, past.times - int((now - past.until) / policy.base_ejection))
