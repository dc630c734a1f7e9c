"""What can be made to go wrong: operations that fail, and the twin stopping or hanging up around a commit."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.twin.engine import Engine, Moment
from infra.twin.operation import Failure

MOST_FAILURES = 1_000
_USUAL = Failure()


class CutError(Exception):
    """The connection is to be cut instead of answered."""


class FailOperations(BaseModel):
    """The next `count` operations end with this error and change nothing."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(ge=1, le=MOST_FAILURES)
    code: str = _USUAL.code
    message: str = _USUAL.message
    status: int = Field(default=_USUAL.status, ge=400, le=599)


class Interrupt(BaseModel):
    """At the `mutation`th mutation from now on, the twin stops as if killed, or hangs up on the client."""

    model_config = ConfigDict(extra="forbid")

    mutation: int = Field(default=1, ge=1)
    when: Literal["before", "during", "after"]
    do: Literal["stop", "cut"]


class Faults(BaseModel):
    """The body of `POST /twin/v1/faults`."""

    model_config = ConfigDict(extra="forbid")

    operations: FailOperations | None = None
    interrupt: Interrupt | None = None


def read(body: object) -> Faults:
    """Reads a request for faults. ValueError: it is none; every fault of it is named."""
    try:
        return Faults.model_validate(body)
    except ValidationError as error:
        lines = [f"{'.'.join(str(step) for step in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
        raise ValueError("; ".join(lines)) from error


@dataclass(slots=True)
class Interruption:
    """The one that is armed; it goes off once."""

    stop: Callable[[], None] = lambda: os._exit(137)
    _at: int = 0
    _armed: Interrupt | None = None

    def arm(self, interrupt: Interrupt | None, mutations: int) -> None:
        """`mutations`: how many there have been."""
        self._armed = interrupt
        self._at = mutations + interrupt.mutation if interrupt else 0

    def __call__(self, number: int, moment: Moment) -> None:
        armed = self._armed
        if armed is None or number != self._at or moment != armed.when:
            return
        self._armed = None
        if armed.do == "stop":
            self.stop()
        raise CutError

    def json(self) -> Mapping[str, Any] | None:
        """What is armed."""
        return self._armed.model_dump() if self._armed else None


def arm(faults: Faults, engine: Engine, interruption: Interruption) -> None:
    """Replaces what was armed before."""
    wanted = faults.operations
    engine.settings.failures = [Failure(wanted.code, wanted.message, wanted.status)] * wanted.count if wanted else []
    interruption.arm(faults.interrupt, engine.mutations)
