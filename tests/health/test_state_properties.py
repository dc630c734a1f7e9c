"""What holds for every history of an endpoint, in virtual time."""

from __future__ import annotations

import json
import math
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

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

ANSWERS = {
    Outcome.NOT_SERVING: Observed.NOT_SERVING,
    Outcome.SERVICE_UNKNOWN: Observed.SERVICE_UNKNOWN,
    Outcome.UNKNOWN: Observed.UNHEALTHY,
    Outcome.HTTP_STATUS: Observed.UNHEALTHY,
}
DAMPINGS = st.builds(
    Damping,
    half_life=st.floats(0.5, 100),
    suppress=st.floats(1.1, 4),
    reuse=st.floats(0.1, 1),
    max_hold=st.floats(1, 500),
)
POLICIES = st.builds(Policy, st.integers(1, 4), st.integers(1, 4), st.none() | DAMPINGS)
OUTCOMES = st.lists(st.sampled_from(Outcome), min_size=1, max_size=6)


def parts(health: Health) -> dict[Change, Any]:
    return {
        Change.OBSERVED: health.observed,
        Change.ADMIN: health.admin,
        Change.EJECTION: health.ejected_until is not None,
        Change.DAMPING: health.damped_until is not None,
    }


class Histories(RuleBasedStateMachine):
    """Keeps the whole history, and derives from it what the machine keeps in counters."""

    @initialize(policy=POLICIES)
    def begin(self, policy: Policy) -> None:
        self.policy, self.now, self.health = policy, 0.0, Health("e")
        self.observations: list[tuple[Observation, Observed]] = []
        self.flaps: list[float] = []
        self.ejected_until = -math.inf
        self.admin = Admin.ENABLED

    def give(self, given: Input) -> tuple[Event, ...]:
        before = self.health
        self.health, events = advance(before, given, self.policy, self.now)
        self.check_events(before, events)
        return events

    def check_events(self, before: Health, events: tuple[Event, ...]) -> None:
        """Each event goes on where the last one of its part ended, and all of them lead from `before` to now."""
        first, last = parts(before), parts(self.health)
        told = dict(first)
        for event in events:
            assert (event.time, event.endpoint, event.before != event.after) == (self.now, "e", True)
            assert json.loads(event.json())["message"] in str(event)
            if event.change in {Change.OBSERVED, Change.ADMIN}:
                assert told[event.change] == event.before
                told[event.change] = event.after
            else:
                assert told[event.change] == (event.before != "NONE")
                told[event.change] = event.after != "NONE"
        assert told == last
        if events:
            assert events[-1].verdict is self.health.verdict
        else:
            assert self.health.verdict is before.verdict

    @rule(outcomes=OUTCOMES, watched=st.booleans(), pause=st.floats(0, 3))
    def observe(self, outcomes: list[Outcome], watched: bool, pause: float) -> None:
        for outcome in outcomes:
            self.now += pause
            observation = Observation(outcome, "detail", watched)
            before = self.health
            self.give(observation)
            self.observations.append((observation, self.health.observed))
            if before.observed is Observed.HEALTHY and self.health.observed is not Observed.HEALTHY:
                self.flaps.append(self.now)
                self.check_flap(before)
            assert self.health.observed is self.expected()

    def expected(self) -> Observed:
        """From the history alone: the last run of outcomes of one kind, and what was observed before it."""
        last = self.observations[-1][0].outcome
        if last in ANSWERS:
            return ANSWERS[last]
        run: list[Observation] = []
        before = Observed.UNKNOWN
        for observation, observed in reversed(self.observations):
            if kind(observation) != kind(self.observations[-1][0]):
                before = observed
                break
            run.append(observation)
        if last is not Outcome.SERVING:
            return Observed.UNHEALTHY if len(run) >= self.policy.unhealthy_threshold else before
        enough = len(run) >= self.policy.healthy_threshold or any(passed.watched for passed in run)
        return Observed.HEALTHY if enough or before is Observed.UNKNOWN else before

    def check_flap(self, before: Health) -> None:
        """Damping begins only when the flaps, each at what is left of it, come to the limit."""
        damping = self.policy.damping
        if damping is None:
            assert self.health.damped_until is None
            return
        weight = sum(0.5 ** ((self.now - flap) / damping.half_life) for flap in self.flaps)
        was_damped = before.damped_until is not None and before.damped_until > self.now
        if not was_damped and weight < damping.suppress - 1e-9:
            assert self.health.damped_until is None
        if len(self.flaps) == 1 or was_damped:
            assert (self.health.damped_until is not None) is was_damped

    @rule(seconds=st.floats(0, 200))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        due = self.health.due
        assert bool(self.give(Tick())) is (due is not None and due <= self.now)
        assert self.health.due is None or self.health.due > self.now

    @rule()
    def wait_until_due(self) -> None:
        """Nothing happens a moment before, and something at the time."""
        due = self.health.due
        if due is None:
            return
        early = math.nextafter(due, 0.0)
        if early > self.now:
            self.now = early
            assert self.give(Tick()) == ()
        self.now = max(self.now, due)
        assert self.give(Tick())

    @rule(seconds=st.floats(-10, 100))
    def eject(self, seconds: float) -> None:
        self.give(Ejected(self.now + seconds))
        self.ejected_until = max(self.ejected_until, self.now + seconds)

    @rule(admin=st.sampled_from(Admin))
    def administer(self, admin: Admin) -> None:
        self.give(Administered(admin, "an operator"))
        self.admin = admin

    @invariant()
    def the_operator_outranks(self) -> None:
        assert self.health.admin is self.admin
        assert (self.health.verdict is Verdict.DRAINED) is (self.admin is not Admin.ENABLED)

    @invariant()
    def the_ejected_get_nothing(self) -> None:
        if self.now < self.ejected_until:
            assert self.health.ejected_until == self.ejected_until
            assert self.health.verdict in {Verdict.UNHEALTHY, Verdict.DRAINED}

    @invariant()
    def nobody_is_healthy_without_a_pass(self) -> None:
        passed = any(observation.outcome is Outcome.SERVING for observation, _ in self.observations)
        assert passed or self.health.observed is not Observed.HEALTHY
        if self.health.verdict is Verdict.HEALTHY:
            assert self.health.observed is Observed.HEALTHY

    @invariant()
    def damping_is_bounded(self) -> None:
        if self.health.damped_until is not None:
            assert self.policy.damping is not None
            assert self.health.damped_until <= self.flaps[-1] + self.policy.damping.max_hold
            assert self.health.verdict is not Verdict.HEALTHY

    @invariant()
    def counters_stay_below_what_decides(self) -> None:
        assert 0 <= self.health.passes < self.policy.healthy_threshold
        assert 0 <= self.health.failures < self.policy.unhealthy_threshold


def kind(observation: Observation) -> str:
    outcome = observation.outcome
    return "pass" if outcome is Outcome.SERVING else "answer" if outcome in ANSWERS else "failure"


Histories.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, print_blob=True)
TestHistories = Histories.TestCase
