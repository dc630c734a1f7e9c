"""The core's prober as Python sees it, against real gRPC servers."""

from __future__ import annotations

import json
import select
import time
from typing import Any

import pytest

from tests.support.backends import GrpcBackend
from tests.support.waiting import LONG_SECONDS
from tidegate_core import ProbePlan, Prober


def request(**more: Any) -> bytes:
    target = {
        "name": "it",
        "kind": "grpc",
        "address": "127.0.0.1:1",
        "user_agent": "test",
        "connect_timeout_ms": 60_000,
        "answer_timeout_ms": 60_000,
        "interval_ms": 10,
    }
    return json.dumps({"targets": [{**target, **more}]}).encode()


class Ears:
    """Takes the events of a prober one by one, as a loop would: when its descriptor is readable."""

    def __init__(self, prober: Prober) -> None:
        self._prober = prober
        self.watched = False
        self._heard: list[tuple[int, int, bool, str]] = []

    def next(self) -> tuple[int, int, str]:
        """(id, streak, outcome)."""
        deadline = time.monotonic() + LONG_SECONDS
        while not self._heard:
            left = deadline - time.monotonic()
            assert left > 0, "no event"
            select.select([self._prober.event_fd()], [], [], left)
            self._heard = self._prober.poll_events()
        number, streak, self.watched, observation = self._heard.pop(0)
        return number, streak, json.loads(observation)["outcome"]


@pytest.mark.parametrize("watch", [True, False])
def test_changes_are_told_through_the_descriptor(watch: bool) -> None:
    prober = Prober()
    ears = Ears(prober)
    with GrpcBackend() as backend:
        backend.set_serving(True)
        plan = ProbePlan(request(watch=watch))
        prober.set(2**63, plan, backend.address, 1, 1)
        assert ears.next() == (2**63, 1, "SERVING")
        assert ears.watched is watch
        backend.set_serving(False)
        assert ears.next() == (2**63, 1, "NOT_SERVING")
        backend.set_serving(True)
        assert ears.next() == (2**63, 1, "SERVING")
        assert plan.counts()["SERVING"] >= 2
        assert plan.counts()["NOT_SERVING"] >= 1
    number, streak, outcome = ears.next()
    assert (number, streak) == (2**63, 1)
    assert outcome in ("CLOSED", "REFUSED", "CALL_FAILED")


def test_a_streak_is_told_when_it_reaches_its_threshold() -> None:
    prober = Prober()
    ears = Ears(prober)
    with GrpcBackend() as backend:
        backend.set_serving(False)
        prober.set(1, ProbePlan(request()), backend.address, 1, 3)
        assert [ears.next(), ears.next()] == [(1, 1, "NOT_SERVING"), (1, 3, "NOT_SERVING")]
        prober.remove(1)


def test_bad_requests_are_refused() -> None:
    for bad in (b"", request(path="no path"), request(jitter_percent=101), b'{"targets": []}'):
        with pytest.raises(ValueError, match=r"."):
            ProbePlan(bad)
    prober, plan = Prober(), ProbePlan(request())
    for address in ("localhost:1", "127.0.0.1:0", "nowhere"):
        with pytest.raises(ValueError, match=r"."):
            prober.set(1, plan, address, 1, 1)
