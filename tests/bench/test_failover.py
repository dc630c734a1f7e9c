"""From the times of failed calls to what is said of a fail-over."""

from __future__ import annotations

import pytest

from infra.load.generator import Failure
from infra.load.kinds import Kind
from tests.bench.failover.outcome import Outcome
from tests.bench.failover.scenarios import SCENARIOS, Scenario
from tests.bench.failover.table import HEAD, Trials, verdicts

FAULT, HEALED = 100.0, 110.0
HANG, DRAIN = (next(one for one in SCENARIOS if one.name == name) for name in ("hang", "drain"))


def failure(started: float, kind: Kind = Kind.DEADLINE, seconds: float = 2.0) -> Failure:
    return Failure("europe-west1", started, started + seconds, kind, "UNAVAILABLE", "gone")


def outcome(*failures: Failure) -> Outcome:
    return Outcome.of(3000, failures, FAULT, HEALED)


def test_the_last_failing_call_counts_by_its_beginning() -> None:
    assert outcome(failure(101.5), failure(102.75), failure(99.0)).seconds == 2.75


def test_a_call_that_was_under_way_counts_with_a_negative_time() -> None:
    assert outcome(failure(99.5, Kind.UNAVAILABLE, 0.75)).seconds == -0.5


def test_without_failures_there_is_no_last() -> None:
    assert outcome() == Outcome(3000, None, {}, {}, {})


def test_failures_are_divided_by_whether_anybody_worked_on_them() -> None:
    found = outcome(*(failure(101.0, kind) for kind in Kind), failure(102.0))
    assert found.retriable == {"connect": 1, "refused": 1}
    assert found.others == {"deadline": 2, "other": 1, "unavailable": 1}
    assert found.failed == 6


def test_what_begins_while_healing_is_told_apart() -> None:
    found = outcome(failure(109.9), failure(110.0, Kind.CONNECT))
    assert (found.others, found.healing) == ({"deadline": 1}, {"connect": 1})
    assert round(found.seconds or 0, 6) == 9.9


def test_a_failure_before_the_fault_voids_the_trial() -> None:
    with pytest.raises(ValueError, match="1 calls failed before the fault, the first of europe-west1: gone"):
        outcome(failure(97.0))


def found(scenario: Scenario, *outcomes: Outcome) -> list[tuple[str, bool | None]]:
    return [(each.measured, each.reached) for each in verdicts([Trials(scenario, 0.0, outcomes)])]


def test_a_hang_may_cost_calls_but_not_for_long() -> None:
    assert found(HANG, outcome(failure(101.0)), outcome(failure(103.0))) == [("0", True), ("3.00 s", True)]
    assert found(HANG, outcome(failure(101.0)), outcome(failure(103.01))) == [("0", True), ("3.01 s", False)]
    assert found(HANG, outcome()) == [("0", True), ("0.00 s", True)]


def test_a_drain_may_cost_nothing() -> None:
    assert found(DRAIN, outcome()) == [("0", True), ("0", True)]
    assert found(DRAIN, outcome(), outcome(failure(112.0))) == [("0", True), ("1", False)]


@pytest.mark.parametrize("started", [101.0, 111.0])
def test_one_retriable_failure_misses_the_goal_whenever_it_was(started: float) -> None:
    assert found(HANG, outcome(failure(started, Kind.REFUSED)))[0] == ("1", False)


def test_the_row_tells_when_traffic_had_moved() -> None:
    outcomes = [Outcome.of(10, (), FAULT, HEALED, moved) for moved in (2.0, 3.5, 2.5)]
    assert Trials(DRAIN, 0.0, tuple(outcomes)).row()[2] == "+2.50 / +3.50 s"


def test_the_row_adds_up_and_shows_the_worst() -> None:
    trials = Trials(HANG, 30.0, (outcome(failure(101.0)), outcome(failure(102.5), failure(111.0, Kind.CONNECT))))
    row = trials.row()
    assert len(row) == len(HEAD)
    assert row[1:] == ["30 s", "-", "+1.75 / +2.50 s", "0", "2 deadline", "1 connect", "6,000"]
    assert Trials(HANG, 0.0, (outcome(),)).row()[3:7] == ["none failed", "0", "0", "0"]
