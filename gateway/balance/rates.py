"""Which endpoints do worse than they should: outlier detection by what became of all calls of one interval.

Both rules are Envoy's (outlier.rst; outlier_detection_impl.cc). *Success rate* compares an endpoint with the others: it
stands out below the mean of all less a number of standard deviations, so what all suffer from (a database that is down,
a client that asks for nonsense) ejects nobody. *Failure percentage* compares it with a fixed threshold. An endpoint
counts if it had enough calls in the interval, and a rule is applied only if enough endpoints count. Those that are
ejected already are no part of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from gateway.balance.ejection import Outlier
from gateway.configuration.model import FailurePercentage, OutlierDetection, SuccessRate

EPSILON = 1e-9
"""Percentage points. Rates that are equal differ from their mean by what floating point rounds away."""

Tally = tuple[str, int, int, int]
"""(address, answered, erred, failed) since the start, as `Core.tallies` has them."""


Window = tuple[int, int]
"""One endpoint's calls in an interval, and how many of them failed."""


class Windows:
    """Counts since the start in, counts of each interval out."""

    def __init__(self, totals: Iterable[Tally] = ()) -> None:
        """`totals`: what was before the first interval."""
        self._before: dict[str, Window] = {}
        self.next(totals)

    def next(self, totals: Iterable[Tally]) -> dict[str, Window]:
        """What came since the last call. An endpoint that has fewer than before was gone meanwhile and began anew."""
        before, seen, windows = self._before, dict[str, Window](), dict[str, Window]()
        for address, answered, erred, failed in totals:
            bad = erred + failed
            calls = answered + bad
            seen[address] = calls, bad
            calls_before, bad_before = before.get(address, (0, 0))
            if calls_before > calls or bad_before > bad:
                windows[address] = calls, bad
            else:
                windows[address] = calls - calls_before, bad - bad_before
        self._before = seen
        return windows


def outliers(windows: Mapping[str, Window], policy: OutlierDetection) -> list[Outlier]:
    """Who stands out, the worst first; by success rate where both rules name an endpoint."""
    found: dict[str, tuple[float, Outlier]] = {}
    if policy.success_rate is not None:
        for rate, outlier in _by_success_rate(windows, policy.success_rate):
            found[outlier.address] = rate, outlier
    if policy.failure_percentage is not None:
        for rate, outlier in _by_failure_percentage(windows, policy.failure_percentage):
            found.setdefault(outlier.address, (rate, outlier))
    return [outlier for _, outlier in sorted(found.values(), key=lambda one: one[0])]


def _rates(windows: Mapping[str, Window], volume: int, least: int) -> dict[str, float]:
    """The success rates, in hundredths, of the endpoints that count; empty where they are too few."""
    volume = max(1, volume)
    rates = {address: 100.0 * (calls - bad) / calls for address, (calls, bad) in windows.items() if calls >= volume}
    return rates if len(rates) >= least else {}


def _by_success_rate(windows: Mapping[str, Window], rule: SuccessRate) -> Iterator[tuple[float, Outlier]]:
    rates = _rates(windows, rule.request_volume, rule.minimum_hosts)
    if not rates:
        return
    mean = math.fsum(rates.values()) / len(rates)
    deviation = math.sqrt(math.fsum([(rate - mean) ** 2 for rate in rates.values()]) / len(rates))
    threshold = mean - rule.standard_deviations * deviation
    why = f"{threshold:.1f} % (mean {mean:.1f} % - {rule.standard_deviations:g} x {deviation:.1f} %)"
    for address, rate in rates.items():
        if rate < threshold - EPSILON:
            yield rate, Outlier(address, "success-rate", f"success rate {rate:.1f} % is below {why}")


def _by_failure_percentage(windows: Mapping[str, Window], rule: FailurePercentage) -> Iterator[tuple[float, Outlier]]:
    for address, rate in _rates(windows, rule.request_volume, rule.minimum_hosts).items():
        if 100 - rate >= rule.threshold - EPSILON:
            calls, bad = windows[address]
            reason = f"{bad} of {calls} calls failed ({100 - rate:.1f} %), {rule.threshold} % or more are too many"
            yield rate, Outlier(address, "failure-percentage", reason)
