"""What the state machine is told."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from healthcheck.state.health import Admin


class Outcome(StrEnum):
    """How a probe ended, in the words of the core's probes."""

    SERVING = "SERVING"
    NOT_SERVING = "NOT_SERVING"
    SERVICE_UNKNOWN = "SERVICE_UNKNOWN"
    """Watch says so; Check ends with NOT_FOUND."""
    UNKNOWN = "UNKNOWN"
    """The server says so, or something that grpc.health.v1 does not have."""
    HTTP_STATUS = "HTTP_STATUS"
    """An HTTP status that is not among the expected ones."""
    UNIMPLEMENTED = "UNIMPLEMENTED"
    """A gRPC server without grpc.health.v1."""
    CALL_FAILED = "CALL_FAILED"
    """Another gRPC status."""
    REFUSED = "REFUSED"
    UNREACHABLE = "UNREACHABLE"
    CONNECT_TIMEOUT = "CONNECT_TIMEOUT"
    ANSWER_TIMEOUT = "ANSWER_TIMEOUT"
    TLS_FAILED = "TLS_FAILED"
    PROTOCOL_ERROR = "PROTOCOL_ERROR"
    CLOSED = "CLOSED"
    """The connection or the stream ended before an answer."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The outcome of one probe, with `detail` for people.

    `watched`: it came over a Watch stream, which speaks once for each change, so SERVING will not be repeated.
    """

    outcome: Outcome
    detail: str = ""
    watched: bool = False


@dataclass(frozen=True, slots=True)
class Ejected:
    """Outlier detection saw the endpoint fail real calls; it gets none before `until`, in the machine's time.

    ValueError: `until` is no number.
    """

    until: float
    detail: str = ""

    def __post_init__(self) -> None:
        if not math.isfinite(self.until):
            message = f"An ejection ends at a time, not at {self.until}."
            raise ValueError(message)


@dataclass(frozen=True, slots=True)
class Administered:
    """An operator's word; `detail` says whose and why."""

    admin: Admin
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing but time has passed. It is due when `Health.due` says so."""


Input = Observation | Ejected | Administered | Tick
