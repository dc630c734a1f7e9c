"""What is known of one endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Observed(StrEnum):
    """What probes found."""

    UNKNOWN = "UNKNOWN"
    """No probe has passed yet, and not enough have failed."""
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    """It does not answer, or not as it should."""
    NOT_SERVING = "NOT_SERVING"
    """It answers, and says that it does not serve."""
    SERVICE_UNKNOWN = "SERVICE_UNKNOWN"
    """It answers, and says that it has no such service."""


class Admin(StrEnum):
    """The operator's word."""

    ENABLED = "ENABLED"
    DRAINING = "DRAINING"
    """Nothing new goes there; what runs finishes."""
    DRAINED = "DRAINED"
    """Nothing runs there any more."""


class Verdict(StrEnum):
    """What follows for new calls. The first three are those of `Core.set_health`."""

    HEALTHY = "healthy"
    UNKNOWN = "unknown"
    """It gets calls only while no endpoint is healthy."""
    UNHEALTHY = "unhealthy"
    """It gets calls only if everything else is as bad and the balancer panics."""
    DRAINED = "drained"
    """It gets none in any case: the caller leaves it out of the endpoints."""


@dataclass(frozen=True, slots=True)
class Health:
    """The state of `endpoint`, which only names it in events. Begin with `Health(endpoint)`; `advance` makes the next.

    `passes` and `failures` are counted in a row, up to what decides. `penalty` is what flapping has cost as of
    `penalized_at` (see `healthcheck.state.damping`). `damped_until` and `ejected_until` are None where nothing is on.
    """

    endpoint: str
    observed: Observed = Observed.UNKNOWN
    admin: Admin = Admin.ENABLED
    passes: int = 0
    failures: int = 0
    penalty: float = 0.0
    penalized_at: float = 0.0
    damped_until: float | None = None
    ejected_until: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Admin outranks everything, then an ejection, then what was observed, then damping."""
        if self.admin is not Admin.ENABLED:
            return Verdict.DRAINED
        if self.ejected_until is not None:
            return Verdict.UNHEALTHY
        if self.observed is Observed.HEALTHY:
            return Verdict.HEALTHY if self.damped_until is None else Verdict.UNKNOWN
        return Verdict.UNKNOWN if self.observed is Observed.UNKNOWN else Verdict.UNHEALTHY

    @property
    def due(self) -> float | None:
        """When time alone will change something, so that a `Tick` is wanted."""
        return min((time for time in (self.damped_until, self.ejected_until) if time is not None), default=None)
