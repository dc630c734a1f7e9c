"""Operations: every mutation is one, and may take its time or fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from infra.twin.resources.key import Key
from infra.twin.world import Change

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failure:
    """What an operation ends with instead of its change."""

    code: str = "INTERNAL_ERROR"
    message: str = "Internal error. Please try again or contact Google Support."
    status: int = 500


@dataclass(frozen=True, slots=True)
class Operation:
    """`started` and `due` are seconds since 1970; nothing has changed before `due`. `number` is its id."""

    name: str
    number: int
    kind: str
    target: Key
    target_id: str
    started: float
    due: float
    change: Change
    failure: Failure | None = None
    request_id: str = ""

    @property
    def scope(self) -> str:
        """Where it is listed: an operation lives with its target."""
        return self.target.scope

    def is_done(self, now: float) -> bool:
        """Whether it has ended, well or not."""
        return now >= self.due
