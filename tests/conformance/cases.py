"""The form of the tables: what is sent on a connection, and what RFC 9113 says must come of it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.support.frames import block as coded
from tests.support.frames import headers, request
from tests.support.wire import Outcome, Wire

NEVER = coded(request(path="/never"))
"""A request that the backend does not answer, so that its stream stays as it is."""

OPEN = headers(1, NEVER, end=False)
HALF_CLOSED = headers(1, NEVER)


@dataclass(frozen=True, slots=True)
class Case:
    """`sent` goes out after the prefaces; `completed`: stream 1 has had its request and its response before."""

    section: str
    what: str
    sent: bytes
    outcome: Outcome
    stream: int = 1
    completed: bool = False

    def check(self, address: str) -> None:
        with Wire.client(address) as wire:
            if self.completed:
                wire.send(headers(1, coded(request())))
                assert wire.answer(1).status == 200
            wire.send(self.sent)
            assert wire.outcome(self.stream) == self.outcome


def table(*cases: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[f"{case.section} {case.what}" for case in cases])
