"""Why a gateway cannot serve a configuration, as sentences for an operator."""

from __future__ import annotations

from collections.abc import Iterable


class GatewayError(Exception):
    """A configuration cannot be served. `problems` says each reason with its place and what to do."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


def problems_of(error: BaseException) -> tuple[str, ...] | None:
    """The reasons that an exception gives; None when it is none that a configuration can cause.

    Knows errors with a sequence `problems`, the core's SnapshotError (a list as its only argument), and OSError, which
    the core raises for an address that cannot be bound.
    """
    problems = getattr(error, "problems", None)
    if isinstance(problems, (tuple, list)):
        return tuple(str(problem) for problem in problems)
    if isinstance(error, ValueError) and error.args and isinstance(error.args[0], list):
        return tuple(str(problem) for problem in error.args[0])
    if isinstance(error, OSError) and error.strerror:
        return (f"{error.filename}: {error.strerror}" if error.filename else error.strerror,)
    if isinstance(error, (OSError, ValueError)):
        return (str(error),)
    return None
