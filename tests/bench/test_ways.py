"""From counts by pod to shares, and to the time until they are even."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.bench.ways.shares import ENOUGH, Sample, have_their_share, percentages, served_between, time_of_share

PODS = ("a", "b", "c")


def samples(*counts: tuple[int, int, int], start: float = 0.0, step: float = 0.5) -> list[Sample]:
    return [Sample(start + index * step, dict(zip(PODS, served, strict=True))) for index, served in enumerate(counts)]


def test_shares_are_of_what_came_in_between() -> None:
    first, last = samples((100, 0, 0), (110, 10, 5))
    assert served_between(first, last, PODS) == (10, 10, 5)


def test_the_time_is_that_of_the_first_even_window() -> None:
    seen = samples((0, 0, 0), (10, 0, 0), (20, 0, 0), (24, 3, 3), (27, 6, 6), (30, 9, 9))
    assert time_of_share(seen, PODS, since=0.0) == 1.0


def test_what_was_before_the_scale_does_not_count() -> None:
    seen = samples((0, 0, 0), (9, 9, 9), (18, 18, 18), (28, 18, 18), (38, 18, 18))
    assert time_of_share(seen, PODS, since=1.0) is None


def test_a_window_that_is_not_over_says_nothing() -> None:
    assert time_of_share(samples((0, 0, 0), (5, 5, 5)), PODS, since=0.0) is None


def test_no_calls_are_no_share() -> None:
    assert time_of_share(samples((0, 0, 0), (0, 0, 0), (0, 0, 0)), PODS, since=0.0) is None
    assert percentages((0, 0, 0)) == "- / - / - %"


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=9))
def test_a_pod_that_gets_much_less_than_an_even_share_has_none(served: list[int]) -> None:
    even = sum(served) / len(served)
    assert have_their_share(served) == (even > 0 and all(calls >= ENOUGH * even for calls in served))
