from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthcheck.state import Schedule

SCHEDULES = st.builds(Schedule, st.floats(0.01, 100), st.floats(0, 0.99), st.floats(0.01, 1000), st.floats(0, 100))
TIMES = st.floats(0, 1e6)
DRAWS = st.floats(0, 1, exclude_max=True)


@given(SCHEDULES, TIMES, DRAWS)
def test_first_probes_are_spread(schedule: Schedule, now: float, draw: float) -> None:
    assert now <= schedule.first(now, draw) <= now + schedule.spread


@given(SCHEDULES, TIMES, st.floats(0, 1e4), DRAWS, st.booleans())
def test_the_next_is_ahead_and_not_too_far(
    schedule: Schedule, due: float, late: float, draw: float, traffic: bool
) -> None:
    now = due + late
    interval = schedule.interval if traffic else schedule.no_traffic_interval
    following = schedule.following(due, now, draw, traffic)
    assert now < following <= now + interval * (1 + schedule.jitter) + 1e-6
    if late < interval * (1 - schedule.jitter) - 1e-6:
        assert following - due == pytest.approx(interval * (1 + schedule.jitter * (2 * draw - 1)), abs=1e-6)


@given(SCHEDULES, TIMES, st.floats(0, 1000), DRAWS)
def test_traffic_hastens_and_never_delays(schedule: Schedule, now: float, ahead: float, draw: float) -> None:
    hastened = schedule.hastened(now + ahead, now, draw)
    assert hastened <= now + ahead
    assert hastened <= now + schedule.interval * (1 + schedule.jitter) + 1e-6


def test_the_mean_of_intervals_is_the_interval() -> None:
    schedule = Schedule(interval=2.0, jitter=0.5)
    due = 0.0
    for number in range(1000):
        due = schedule.following(due, due, number / 1000)
    assert due / 1000 == pytest.approx(2.0, rel=0.001)


def test_a_slow_probe_does_not_stretch_the_interval_and_missed_rounds_stay_missed() -> None:
    schedule = Schedule(interval=10.0, jitter=0.0)
    assert schedule.following(100.0, 109.0, 0.5) == 110.0
    assert schedule.following(100.0, 135.0, 0.5) == 145.0
    assert schedule.following(100.0, 101.0, 0.5, traffic=False) == 160.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"interval": 0.0},
        {"interval": math.nan},
        {"interval": math.inf},
        {"no_traffic_interval": -1.0},
        {"jitter": 1.0},
        {"jitter": -0.1},
        {"jitter": math.nan},
        {"spread": math.inf},
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="schedule"):
        Schedule(**wrong)
