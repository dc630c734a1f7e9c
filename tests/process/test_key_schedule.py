"""When keys are fetched and dropped, decided without a clock."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.keys import schedule
from gateway.keys.schedule import Policy, State

POLICY = Policy(cache_duration=300.0, retries=3, max_stale=86400.0)
chances = st.floats(0, 1, exclude_max=True)
quarters = st.integers(0, 120).map(lambda count: count / 4)


def test_a_new_provider_is_fetched_at_once() -> None:
    assert schedule.start(7.0).due == 7.0


@given(chance=chances)
def test_a_success_is_refreshed_before_it_ends_but_not_much_before(chance: float) -> None:
    state = schedule.succeed(POLICY, schedule.start(0.0), 10.0, None, chance)
    assert 10 + 270 <= state.due <= 10 + 300


def test_the_lifetime_of_the_answer_outranks_the_default() -> None:
    assert schedule.succeed(POLICY, schedule.start(0.0), 0.0, 3600.0, 0.0).due == 3600.0


def test_keys_are_refreshed_before_they_are_too_old_to_serve() -> None:
    policy = Policy(cache_duration=300.0, max_stale=60.0)
    state = schedule.succeed(policy, schedule.start(0.0), 0.0, 3600.0, 0.0)
    stale_at = schedule.stale_at(policy, state)
    assert stale_at is not None
    assert state.due < stale_at == 60.0


def test_failures_back_off_from_a_fifth_of_a_second_to_half_a_minute() -> None:
    state, waits = schedule.start(0.0), []
    for _ in range(12):
        state, _ = schedule.fail(POLICY, state, 100.0, 0.0)
        waits.append(round(state.due - 100.0, 3))
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 32.0, 32.0, 32.0, 32.0]


@given(chance=chances, failures=st.integers(0, 10_000))
def test_no_back_off_is_shorter_than_half_or_longer_than_the_longest(chance: float, failures: int) -> None:
    state, _ = schedule.fail(POLICY, State(due=0.0, failures=failures), 0.0, chance)
    assert 0.1 <= state.due <= 32.0


def test_waiting_requests_are_decided_when_the_retries_are_used_up() -> None:
    state, told = schedule.start(0.0), []
    for _ in range(5):
        state, decide = schedule.fail(POLICY, state, 0.0, 0.0)
        told.append(decide)
    assert told == [False, False, False, True, True]


def test_a_success_forgives_failures() -> None:
    state, _ = schedule.fail(POLICY, State(due=0.0, failures=9), 0.0, 0.0)
    assert schedule.succeed(POLICY, state, 0.0, None, 0.0).failures == 0


def test_an_unknown_key_is_fetched_at_once_when_none_was_lately() -> None:
    state, decide = schedule.want(State(due=300.0, confirmed=0.0), 50.0)
    assert (state.due, decide) == (50.0, False)


def test_a_wait_for_the_first_keys_does_not_put_off_the_next() -> None:
    state, _ = schedule.fail(POLICY, schedule.start(0.0), 0.0, 0.0)
    state, decide = schedule.want(state, 0.1)
    assert (state.due, decide) == (0.1, False)
    state = schedule.succeed(POLICY, state, 0.2, None, 0.0)
    state, decide = schedule.want(state, 0.3)
    assert (state.due, decide) == (0.3, False)


def test_a_request_that_no_fetch_can_reach_in_time_is_decided_at_once() -> None:
    state, _ = schedule.want(State(due=300.0, confirmed=0.0), 50.0)
    state = schedule.succeed(POLICY, state, 50.0, None, 0.0)
    early, decide_early = schedule.want(state, 51.0)
    late, decide_late = schedule.want(state, 56.0)
    assert (early.due, decide_early) == (60.0, True)
    assert (late.due, decide_late) == (60.0, False)


@given(st.lists(st.tuples(quarters, st.booleans(), chances), max_size=60))
def test_invented_keys_never_cause_fetches_closer_than_ten_seconds(
    steps: list[tuple[float, bool, float]],
) -> None:
    """Requests with unknown keys come at any moment; fetches that they alone explain keep their distance."""
    now, fetches = 0.0, [0.0]
    state = schedule.succeed(POLICY, schedule.start(0.0), 0.0, None, 0.0)
    regular = state.due
    for wait, asks, chance in steps:
        now += wait
        if asks:
            state, _ = schedule.want(state, now)
        if state.due <= now:
            if state.due != regular:
                fetches.append(state.due)
            state = schedule.succeed(POLICY, state, now, None, chance)
            regular = state.due
    gaps = [later - earlier for earlier, later in pairwise(fetches[1:])]
    assert all(gap >= schedule.WANTED_INTERVAL for gap in gaps)


def test_keys_grow_stale_from_the_last_success_on() -> None:
    state = schedule.succeed(POLICY, schedule.start(0.0), 100.0, None, 0.0)
    state, _ = schedule.fail(POLICY, state, 400.0, 0.0)
    assert schedule.stale_at(POLICY, state) == 100.0 + 86400.0
    assert schedule.stale_at(POLICY, schedule.drop(state)) is None
