"""The state machine of health: what is known, one input and the time make what is known next, and the events.

| input | while observed is | makes |
|---|---|---|
| SERVING | UNKNOWN | HEALTHY at once: a first pass is enough |
| SERVING | anything worse | HEALTHY after `healthy_threshold` in a row; at once if it came over Watch |
| NOT_SERVING, SERVICE_UNKNOWN | anything | NOT_SERVING, SERVICE_UNKNOWN at once: the app knows best |
| UNKNOWN, HTTP_STATUS | anything | UNHEALTHY at once: that is an answer too |
| any other outcome | anything | UNHEALTHY after `unhealthy_threshold` in a row |
| an ejection | anything | no calls until its end; passes do not shorten it, a later end replaces an earlier one |
| an operator's word | anything | as said; outranks everything else |
| leaving HEALTHY too often | anything | damping, see `healthcheck.state.damping` |

Thresholds are Envoy's: the first pass suffices, network failures and time-outs count up to `unhealthy_threshold`, and
an answer that says no does not wait (config.core.v3.HealthCheck; health_checker_base_impl.cc). That SERVING over Watch
is enough follows from grpc/health/v1/health.proto: the stream speaks once for each change. What was observed goes on
being counted and told while an ejection, damping or an operator's word hides it, so that their end needs no new probe.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from healthcheck.state.damping import Damping
from healthcheck.state.event import Change, Event
from healthcheck.state.health import Admin, Health, Observed
from healthcheck.state.input import Administered, Ejected, Input, Observation, Outcome, Tick

_ANSWERS = {
    Outcome.NOT_SERVING: (Observed.NOT_SERVING, "NotServing", "it says that it does not serve"),
    Outcome.SERVICE_UNKNOWN: (Observed.SERVICE_UNKNOWN, "ServiceUnknown", "it says that it has no such service"),
    Outcome.UNKNOWN: (Observed.UNHEALTHY, "NoStatus", "it does not say whether it serves"),
    Outcome.HTTP_STATUS: (Observed.UNHEALTHY, "HttpStatus", "it answers with an unexpected HTTP status"),
}
_ADMIN = {
    Admin.ENABLED: ("Enabled", "an operator enabled it"),
    Admin.DRAINING: ("Draining", "an operator drains it"),
    Admin.DRAINED: ("Drained", "it is drained"),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds in probes; `damping` None: flapping is not damped. ValueError: a threshold below 1."""

    healthy_threshold: int = 2
    unhealthy_threshold: int = 3
    damping: Damping | None = field(default_factory=Damping)

    def __post_init__(self) -> None:
        if self.healthy_threshold < 1 or self.unhealthy_threshold < 1:
            message = f"A threshold is at least 1: {self}."
            raise ValueError(message)


def advance(health: Health, given: Input, policy: Policy, now: float) -> tuple[Health, tuple[Event, ...]]:
    """The next state, and an event for each part that changed, in order; the verdict of each is that of its moment.

    `now`: seconds of any clock that does not go back; the same for all inputs of an endpoint.
    """
    step = _Step(health, policy, now)
    step.expire()
    match given:
        case Observation():
            step.observe(given)
        case Ejected():
            step.eject(given)
        case Administered():
            step.administer(given)
        case Tick():
            pass
    return step.health, tuple(step.events)


class _Step:
    """One call of `advance`: the state on its way, and the events so far."""

    def __init__(self, health: Health, policy: Policy, now: float) -> None:
        self.health = health
        self.events: list[Event] = []
        self._policy = policy
        self._now = now

    def expire(self) -> None:
        ejected, damped = self.health.ejected_until, self.health.damped_until
        if ejected is not None and ejected <= self._now:
            after = replace(self.health, ejected_until=None)
            self._say(after, Change.EJECTION, "EJECTED", "NONE", "EjectionEnded", "its ejection is over")
        if damped is not None and damped <= self._now:
            after = replace(self.health, damped_until=None)
            self._say(after, Change.DAMPING, "DAMPED", "NONE", "Calm", "it has been calm for long enough")

    def observe(self, observation: Observation) -> None:
        if observation.outcome is Outcome.SERVING:
            self._pass(observation)
        elif answer := _ANSWERS.get(observation.outcome):
            self.health = replace(self.health, passes=0, failures=0)
            observed, reason, message = answer
            self._become(observed, reason, _with(message, observation.detail))
        else:
            self._fail(observation)

    def eject(self, ejected: Ejected) -> None:
        standing = self.health.ejected_until
        if ejected.until <= self._now:
            return
        if standing is not None:
            self.health = replace(self.health, ejected_until=max(standing, ejected.until))
            return
        after = replace(self.health, ejected_until=ejected.until)
        message = _with(f"real calls failed, it is ejected for {ejected.until - self._now:g} s", ejected.detail)
        self._say(after, Change.EJECTION, "NONE", "EJECTED", "Outlier", message)

    def administer(self, word: Administered) -> None:
        before = self.health.admin
        if word.admin is not before:
            reason, message = _ADMIN[word.admin]
            after = replace(self.health, admin=word.admin)
            self._say(after, Change.ADMIN, before, word.admin, reason, _with(message, word.detail))

    def _pass(self, observation: Observation) -> None:
        observed, threshold = self.health.observed, self._policy.healthy_threshold
        if observed is Observed.HEALTHY:
            self.health = replace(self.health, passes=0, failures=0)
            return
        passes = self.health.passes + 1
        if observed is Observed.UNKNOWN:
            reason, message = "FirstPass", "its first probe passed"
        elif observation.watched:
            reason, message = "Serving", "it says that it serves"
        else:
            reason, message = "Passed", f"{passes} probes in a row passed"
            if passes < threshold:
                self.health = replace(self.health, passes=passes, failures=0)
                return
        self.health = replace(self.health, passes=0, failures=0)
        self._become(Observed.HEALTHY, reason, _with(message, observation.detail))

    def _fail(self, observation: Observation) -> None:
        failures = self.health.failures + 1
        if self.health.observed is Observed.UNHEALTHY or failures < self._policy.unhealthy_threshold:
            counted = 0 if self.health.observed is Observed.UNHEALTHY else failures
            self.health = replace(self.health, passes=0, failures=counted)
            return
        self.health = replace(self.health, passes=0, failures=0)
        outcome = str(observation.outcome).lower().replace("_", " ")
        message = _with(f"{failures} probes in a row failed, the last {outcome}", observation.detail)
        self._become(Observed.UNHEALTHY, "Failed", message)

    def _become(self, observed: Observed, reason: str, message: str) -> None:
        before = self.health.observed
        if observed is before:
            return
        self._say(replace(self.health, observed=observed), Change.OBSERVED, before, observed, reason, message)
        if before is Observed.HEALTHY and self._policy.damping is not None:
            self._penalize(self._policy.damping)

    def _penalize(self, damping: Damping) -> None:
        left = damping.decayed(self.health.penalty, self._now - self.health.penalized_at)
        penalty = left + 1.0
        was = self.health.damped_until
        self.health = replace(self.health, penalty=damping.capped(penalty), penalized_at=self._now)
        if was is None and penalty < damping.suppress:
            return
        until = self._now + damping.hold(penalty)
        if was is not None:
            self.health = replace(self.health, damped_until=max(was, until))
            return
        after = replace(self.health, damped_until=until)
        message = f"it flaps, so it counts as unknown for {until - self._now:.0f} s"
        self._say(after, Change.DAMPING, "NONE", "DAMPED", "Flapping", message)

    def _say(self, after: Health, change: Change, before: str, now: str, reason: str, message: str) -> None:
        self.health = after
        event = Event(self._now, after.endpoint, change, str(before), str(now), reason, message, after.verdict)
        self.events.append(event)


def _with(message: str, detail: str) -> str:
    return f"{message} ({detail})" if detail else message
