"""Outlier detection by rates: which endpoints of an interval stand out."""

from __future__ import annotations

import statistics
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from gateway.balance.rates import Window, Windows, outliers
from gateway.configuration.model import FailurePercentage, OutlierDetection, SuccessRate

BY_SUCCESS = OutlierDetection(success_rate=SuccessRate())
BY_FAILURE = OutlierDetection(failure_percentage=FailurePercentage())
BOTH = OutlierDetection(success_rate=SuccessRate(), failure_percentage=FailurePercentage())


def windows(*failed: int, calls: int = 100) -> dict[str, Window]:
    return {f"10.0.0.{number}:1": (calls, bad) for number, bad in enumerate(failed)}


def named(found: dict[str, Window], policy: OutlierDetection) -> list[tuple[str, str]]:
    return [(outlier.address, outlier.kind) for outlier in outliers(found, policy)]


def test_who_is_far_below_the_mean_stands_out_in_words() -> None:
    (found,) = outliers(windows(0, 1, 60, 2, 0, 1), BY_SUCCESS)
    assert found.address == "10.0.0.2:1"
    assert found.reason == "success rate 40.0 % is below 47.4 % (mean 89.3 % - 1.9 x 22.1 %)"


def test_failures_of_all_alike_eject_nobody_by_success_rate() -> None:
    assert named(windows(*[33] * 7, calls=123), BY_SUCCESS) == []
    assert len(named(windows(*[90] * 7), BY_FAILURE)) == 7


def test_most_calls_failed() -> None:
    found = outliers(windows(0, 84, 85, 100, 0), BY_FAILURE)
    assert [outlier.address for outlier in found] == ["10.0.0.3:1", "10.0.0.2:1"], "the worst first"
    assert found[1].reason == "85 of 100 calls failed (85.0 %), 85 % or more are too many"


def test_too_few_endpoints_or_calls_tell_nothing() -> None:
    assert named(windows(0, 0, 0, 100), BOTH) == []
    assert named(windows(0, 0, 0, 0, 99, calls=99), BY_SUCCESS) == []
    assert named(windows(0, 0, 0, 0, 49, calls=49), BY_FAILURE) == []
    idle = {**windows(0, 0, 0, 0, 100), "10.0.1.1:1": (0, 0)}
    assert named(idle, BOTH) == [("10.0.0.4:1", "success-rate")]
    assert named(windows(0, 0, 0, 100), OutlierDetection()) == []


ENDPOINTS = st.dictionaries(
    st.integers(0, 99).map(lambda number: f"10.0.0.{number}:1"),
    st.integers(0, 400).flatmap(lambda calls: st.tuples(st.just(calls), st.integers(0, calls))),
    max_size=30,
)


@given(ENDPOINTS, st.integers(1, 8), st.integers(1, 200), st.floats(0, 4))
def test_success_rate_is_the_documented_rule(
    found: dict[str, Window], hosts: int, volume: int, deviations: float
) -> None:
    policy = OutlierDetection(success_rate=SuccessRate(deviations, hosts, volume))
    rates = {address: 100 * (1 - bad / calls) for address, (calls, bad) in found.items() if calls >= volume}
    ejected = {outlier.address for outlier in outliers(found, policy)}
    if len(rates) < hosts:
        assert not ejected
        return
    threshold = statistics.fmean(rates.values()) - deviations * statistics.pstdev(rates.values())
    for address, rate in rates.items():
        if abs(rate - threshold) > 1e-6:
            assert (address in ejected) == (rate < threshold)
    assert ejected <= rates.keys()
    assert not rates or max(rates, key=rates.__getitem__) not in ejected, "the best never stands out"


@given(ENDPOINTS, st.integers(1, 100), st.integers(1, 8), st.integers(1, 200))
def test_failure_percentage_is_the_documented_rule(
    found: dict[str, Window], threshold: int, hosts: int, volume: int
) -> None:
    policy = OutlierDetection(failure_percentage=FailurePercentage(threshold, hosts, volume))
    counted = {address: window for address, window in found.items() if window[0] >= volume}
    bad = {address for address, (calls, failed) in counted.items() if 100 * failed >= threshold * calls}
    assert {outlier.address for outlier in outliers(found, policy)} == (bad if len(counted) >= hosts else set())


@given(ENDPOINTS)
def test_each_is_named_once_and_the_worst_first(found: dict[str, Window]) -> None:
    policy = OutlierDetection(success_rate=SuccessRate(0.5, 1, 1), failure_percentage=FailurePercentage(50, 1, 1))
    addresses = [outlier.address for outlier in outliers(found, policy)]
    assert len(set(addresses)) == len(addresses)
    failures = [Fraction(failed, calls) for calls, failed in map(found.__getitem__, addresses)]
    assert failures == sorted(failures, reverse=True)


COUNTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=12)


@given(COUNTS)
def test_windows_add_up_to_the_totals(steps: list[tuple[int, int, int]]) -> None:
    counter, total, seen = Windows(), [0, 0, 0], [0, 0]
    for step in steps:
        total = [before + more for before, more in zip(total, step, strict=True)]
        ((calls, failed),) = counter.next([("a", total[0], total[1], total[2])]).values()
        assert (calls, failed) == (sum(step), step[1] + step[2])
        seen = [seen[0] + calls, seen[1] + failed]
    assert seen == [sum(total), total[1] + total[2]]


def test_an_endpoint_that_was_gone_begins_anew() -> None:
    counter = Windows([("a", 100, 0, 10), ("b", 100, 0, 0)])
    assert counter.next([("a", 3, 1, 1), ("c", 4, 0, 0)]) == {"a": (5, 2), "c": (4, 0)}
    assert counter.next([("b", 1, 0, 0)]) == {"b": (1, 0)}
