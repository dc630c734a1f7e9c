"""The state machine by example: each row of its table, the order of what outranks what, and what events say."""

from __future__ import annotations

import json
import math

import pytest

from healthcheck.state import (
    Admin,
    Administered,
    Change,
    Damping,
    Ejected,
    Event,
    Health,
    Input,
    Observation,
    Observed,
    Outcome,
    Policy,
    Tick,
    Verdict,
    advance,
)

PASS = Observation(Outcome.SERVING)
FAIL = Observation(Outcome.REFUSED, "connection refused")
NO = Observation(Outcome.NOT_SERVING)
POLICY = Policy(healthy_threshold=2, unhealthy_threshold=3, damping=None)
FAILURES = (
    Outcome.UNIMPLEMENTED,
    Outcome.CALL_FAILED,
    Outcome.REFUSED,
    Outcome.UNREACHABLE,
    Outcome.CONNECT_TIMEOUT,
    Outcome.ANSWER_TIMEOUT,
    Outcome.TLS_FAILED,
    Outcome.PROTOCOL_ERROR,
    Outcome.CLOSED,
)


class Endpoint:
    """An endpoint whose clock moves only by hand."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.policy, self.now, self.health = policy, 1000.0, Health("10.0.0.1:50051")

    def give(self, *inputs: Input, after: float = 0.0) -> tuple[Event, ...]:
        self.now += after
        events: list[Event] = []
        for given in inputs:
            self.health, more = advance(self.health, given, self.policy, self.now)
            events += more
        return tuple(events)

    @property
    def seen(self) -> tuple[Observed, Verdict]:
        return self.health.observed, self.health.verdict


def test_nobody_is_healthy_before_a_pass_and_one_pass_is_enough_then() -> None:
    endpoint = Endpoint()
    assert endpoint.seen == (Observed.UNKNOWN, Verdict.UNKNOWN)
    assert endpoint.give(FAIL, FAIL) == ()
    (event,) = endpoint.give(PASS)
    assert endpoint.seen == (Observed.HEALTHY, Verdict.HEALTHY)
    assert (event.before, event.after, event.reason) == ("UNKNOWN", "HEALTHY", "FirstPass")


@pytest.mark.parametrize("outcome", FAILURES)
def test_failures_count_to_the_threshold_in_a_row(outcome: Outcome) -> None:
    endpoint = Endpoint()
    failure = Observation(outcome, "of some kind")
    endpoint.give(PASS, failure, failure, PASS, failure, failure)
    assert endpoint.seen == (Observed.HEALTHY, Verdict.HEALTHY)
    (event,) = endpoint.give(failure)
    assert endpoint.seen == (Observed.UNHEALTHY, Verdict.UNHEALTHY)
    assert "3 probes in a row failed" in event.message
    assert "of some kind" in event.message


@pytest.mark.parametrize(
    ("outcome", "observed"),
    [
        (Outcome.NOT_SERVING, Observed.NOT_SERVING),
        (Outcome.SERVICE_UNKNOWN, Observed.SERVICE_UNKNOWN),
        (Outcome.UNKNOWN, Observed.UNHEALTHY),
        (Outcome.HTTP_STATUS, Observed.UNHEALTHY),
    ],
)
def test_an_answer_that_says_no_does_not_wait(outcome: Outcome, observed: Observed) -> None:
    endpoint = Endpoint()
    endpoint.give(PASS)
    assert [event.after for event in endpoint.give(Observation(outcome))] == [observed]
    assert endpoint.seen == (observed, Verdict.UNHEALTHY)


def test_coming_back_takes_the_threshold_but_over_watch_one_word() -> None:
    endpoint = Endpoint()
    endpoint.give(PASS, NO, PASS, FAIL, PASS)
    assert endpoint.seen == (Observed.NOT_SERVING, Verdict.UNHEALTHY)
    endpoint.give(PASS)
    assert endpoint.seen == (Observed.HEALTHY, Verdict.HEALTHY)
    endpoint.give(NO, Observation(Outcome.SERVING, watched=True))
    assert endpoint.seen == (Observed.HEALTHY, Verdict.HEALTHY)


def test_one_that_said_no_and_then_fell_silent_is_unhealthy() -> None:
    endpoint = Endpoint()
    endpoint.give(NO, FAIL, FAIL)
    assert endpoint.seen == (Observed.NOT_SERVING, Verdict.UNHEALTHY)
    endpoint.give(FAIL)
    assert endpoint.seen == (Observed.UNHEALTHY, Verdict.UNHEALTHY)


def test_the_operator_outranks_everything_and_hides_nothing() -> None:
    endpoint = Endpoint()
    endpoint.give(PASS, Administered(Admin.DRAINING, "alice: kernel update"))
    assert endpoint.seen == (Observed.HEALTHY, Verdict.DRAINED)
    (event,) = endpoint.give(NO)
    assert (event.after, event.verdict) == ("NOT_SERVING", Verdict.DRAINED)
    endpoint.give(Administered(Admin.DRAINED), Ejected(endpoint.now + 5), PASS, PASS)
    assert endpoint.seen == (Observed.HEALTHY, Verdict.DRAINED)
    assert endpoint.give(Administered(Admin.DRAINED)) == ()
    endpoint.give(Administered(Admin.ENABLED), after=10)
    assert endpoint.seen == (Observed.HEALTHY, Verdict.HEALTHY)


def test_an_ejection_lasts_whatever_probes_say() -> None:
    endpoint = Endpoint()
    endpoint.give(PASS)
    (event,) = endpoint.give(Ejected(endpoint.now + 30, "5 gateway errors in a row"))
    assert (event.change, event.verdict) == (Change.EJECTION, Verdict.UNHEALTHY)
    assert "5 gateway errors in a row" in event.message
    assert endpoint.give(PASS, PASS, Ejected(endpoint.now + 10), Ejected(endpoint.now - 1)) == ()
    assert (endpoint.health.verdict, endpoint.health.due) == (Verdict.UNHEALTHY, 1030.0)
    assert endpoint.give(Tick(), after=29.999) == ()
    (event,) = endpoint.give(Tick(), after=0.001)
    assert (event.reason, endpoint.health.verdict, endpoint.health.due) == ("EjectionEnded", Verdict.HEALTHY, None)


@pytest.mark.parametrize("until", [math.nan, math.inf])
def test_an_ejection_without_an_end_is_none(until: float) -> None:
    with pytest.raises(ValueError, match="ends at a time"):
        Ejected(until)


def test_damping_begins_with_the_third_quick_flap_and_ends_by_itself() -> None:
    endpoint = Endpoint(Policy(healthy_threshold=1, damping=Damping(30.0, 2.0, 0.75, 120.0)))
    for _ in range(2):
        endpoint.give(PASS, NO, PASS, after=1)
        assert endpoint.seen == (Observed.HEALTHY, Verdict.HEALTHY)
    events = endpoint.give(NO, PASS, after=1)
    assert [event.change for event in events] == [Change.OBSERVED, Change.DAMPING, Change.OBSERVED]
    assert endpoint.seen == (Observed.HEALTHY, Verdict.UNKNOWN)
    due = endpoint.health.due
    assert due is not None
    penalty = 1 + 0.5 ** (1 / 30) + 0.5 ** (2 / 30)
    assert due - endpoint.now == pytest.approx(30 * math.log2(penalty / 0.75))
    assert endpoint.give(PASS, after=(due - endpoint.now) / 2) == ()
    assert [event.reason for event in endpoint.give(Tick(), after=due - endpoint.now)] == ["Calm"]
    assert endpoint.seen == (Observed.HEALTHY, Verdict.HEALTHY)


def test_slow_flaps_are_not_damped() -> None:
    endpoint = Endpoint(Policy(healthy_threshold=1))
    for _ in range(20):
        endpoint.give(PASS, NO, PASS, after=60)
        assert endpoint.health.verdict is Verdict.HEALTHY


def test_a_storm_of_flaps_holds_no_longer_than_the_longest_hold() -> None:
    endpoint = Endpoint(Policy(healthy_threshold=1))
    for _ in range(5000):
        endpoint.give(PASS, NO)
    endpoint.give(PASS)
    assert endpoint.seen == (Observed.HEALTHY, Verdict.UNKNOWN)
    endpoint.give(Tick(), after=120)
    assert endpoint.seen == (Observed.HEALTHY, Verdict.HEALTHY)


@pytest.mark.parametrize(
    "wrong",
    [
        {"half_life": 0.0},
        {"half_life": math.nan},
        {"suppress": math.inf},
        {"reuse": 2.0},
        {"reuse": 0.0},
        {"max_hold": -1.0},
    ],
)
def test_damping_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="Damping"):
        Damping(**wrong)


@pytest.mark.parametrize("wrong", [{"healthy_threshold": 0}, {"unhealthy_threshold": 0}])
def test_thresholds_below_one_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="threshold"):
        Policy(**wrong)  # type: ignore[arg-type]


def test_an_event_for_programs_and_for_people() -> None:
    endpoint = Endpoint()
    endpoint.give(PASS)
    (event,) = endpoint.give(FAIL, FAIL, FAIL)
    assert json.loads(event.json(epoch=1.5)) == {
        "time": "1970-01-01T00:16:41.500Z",
        "endpoint": "10.0.0.1:50051",
        "change": "observed",
        "before": "HEALTHY",
        "after": "UNHEALTHY",
        "reason": "Failed",
        "message": "3 probes in a row failed, the last refused (connection refused)",
        "verdict": "unhealthy",
    }
    assert str(event) == (
        "10.0.0.1:50051: observed HEALTHY -> UNHEALTHY: 3 probes in a row failed, the last refused "
        "(connection refused). It gets no calls."
    )
