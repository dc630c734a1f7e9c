"""Outlier detection: who is left out, for how long, and how many at once."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.balance.book import HealthBook
from gateway.balance.ejection import Ejections
from gateway.configuration.model import Backend, OutlierDetection
from gateway.core import OutlierSeen
from tests.process.fakes import FakeCore

POLICY = OutlierDetection()
TEN = frozenset(f"10.0.0.{number}:1" for number in range(10))
A, B = "10.0.0.1:1", "10.0.0.2:1"


def test_the_time_grows_and_is_worked_off() -> None:
    ejections = Ejections()
    assert ejections.decide(A, TEN, POLICY, 0.0) == 30.0
    assert ejections.decide(A, TEN, POLICY, 10.0) is None, "it is out already"
    assert ejections.decide(A, TEN, POLICY, 31.0) == 91.0
    assert ejections.decide(A, TEN, POLICY, 92.0) == 182.0
    assert ejections.decide(A, TEN, POLICY, 182.0 + 3 * 30.0) == 182.0 + 3 * 30.0 + 30.0


def test_the_last_endpoint_and_unknown_ones_are_left_alone() -> None:
    assert Ejections().decide(A, frozenset({A}), POLICY, 0.0) is None
    assert Ejections().decide(A, frozenset({B}), POLICY, 0.0) is None
    assert Ejections().decide(A, frozenset({A, B}), POLICY, 0.0) == 30.0


@given(
    st.integers(1, 40),
    st.integers(1, 100),
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 50)), max_size=60),
)
def test_never_more_at_once_than_allowed(count: int, percent: int, failures: list[tuple[int, int]]) -> None:
    policy = OutlierDetection(max_ejected_percent=percent)
    endpoints = frozenset(f"10.0.0.{number}:1" for number in range(count))
    ejections, until, now = Ejections(), dict[str, float](), 0.0
    for number, pause in failures:
        now += pause
        address = f"10.0.0.{number}:1"
        if (end := ejections.decide(address, endpoints, policy, now)) is not None:
            assert policy.base_ejection <= end - now <= policy.max_ejection
            until[address] = end
        out = sum(end > now for end in until.values())
        assert out <= max(1, count * percent // 100)
        assert out < count


@pytest.mark.looptime
async def test_the_core_hears_of_an_ejection_and_of_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    core = FakeCore()
    core.endpoints = {"app": [(A, 1, 0, 0), (B, 1, 0, 0)], "plain": [(A, 1, 0, 0)]}
    book = HealthBook(core, lambda backend: (A, B))
    book.commit([Backend("app", (A, B), outlier_detection=POLICY), Backend("plain", (A,))])
    running = asyncio.create_task(book.run())
    book.outlier(OutlierSeen("plain", A, 5))
    book.outlier(OutlierSeen("app", A, 5))
    book.outlier(OutlierSeen("app", B, 5))
    assert core.calls == [("set_health", "app", f"{A} unhealthy")]
    await asyncio.sleep(29.9)
    assert len(core.calls) == 1
    await asyncio.sleep(0.2)
    assert core.calls[1:] == [("set_health", "app", f"{A} unknown")]
    assert "5 calls in a row failed" in caplog.text
    assert [health.endpoint for health in book.states("app")] == [A]
    running.cancel()
