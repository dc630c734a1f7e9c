"""What the API answers instead of what was asked for."""

from __future__ import annotations

from collections.abc import Sequence

from infra.twin.discovery.body import Fault
from infra.twin.resources.key import Key


class Refused(Exception):
    """`code` is the HTTP status; there is at least one fault, whose reason is one of Google's words."""

    def __init__(self, code: int, faults: Sequence[Fault]) -> None:
        super().__init__(faults[0].message)
        self.code = code
        self.faults = tuple(faults)


def bad_request(faults: Sequence[Fault]) -> Refused:
    """400, for as many faults as there are."""
    return Refused(400, faults)


def invalid_body(message: str) -> Refused:
    """400, for a body that is no object."""
    return Refused(400, [Fault("", message, "parseError")])


def not_found(key: Key) -> Refused:
    """404."""
    return Refused(404, [Fault("", f"The resource '{key}' was not found", "notFound")])


def already_exists(key: Key) -> Refused:
    """409."""
    return Refused(409, [Fault("", f"The resource '{key}' already exists", "alreadyExists")])


def not_ready(key: Key) -> Refused:
    """400: an operation on the resource is not done."""
    return Refused(400, [Fault("", f"The resource '{key}' is not ready", "resourceNotReady")])


def in_use(key: Key, user: Key) -> Refused:
    """400: something refers to it."""
    message = f"The resource '{key}' is already being used by '{user}'"
    return Refused(400, [Fault("", message, "resourceInUseByAnotherResource")])


def condition_not_met(message: str = "Invalid fingerprint.") -> Refused:
    """412: it has changed since it was read."""
    return Refused(412, [Fault("fingerprint", message, "conditionNotMet")])


def quota_exceeded(message: str) -> Refused:
    """403: there are as many as there may be."""
    return Refused(403, [Fault("", message, "quotaExceeded")])


def not_implemented(method: str) -> Refused:
    """501: Google has it, the twin has not."""
    message = f"The twin does not have compute.{method}; docs/twin.md lists what it has."
    return Refused(501, [Fault("", message, "notImplemented")])
