"""Outlier detection: who is left out, for how long, and how many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.balance.book import HealthBook
from gateway.balance.ejection import Ejections, Outlier
from gateway.balance.outliers import Outliers
from gateway.configuration.model import Backend, FailurePercentage, OutlierDetection, SuccessRate
from gateway.core import OutlierSeen
from healthcheck.state import Ejected
from tests.process.fakes import FakeCore

POLICY = OutlierDetection()
TEN = frozenset(f"10.0.0.{number}:1" for number in range(10))
A, B = "10.0.0.1:1", "10.0.0.2:1"


def outlier(address: str) -> Outlier:
    return Outlier(address, "consecutive-errors", "5 calls in a row failed")


def decide(ejections: Ejections, address: str, endpoints: frozenset[str], now: float) -> float | None:
    """Until when it is ejected."""
    begun = ejections.decide([outlier(address)], endpoints, POLICY, now)
    return begun[0].until if begun else None


def test_the_time_grows_and_is_worked_off() -> None:
    ejections = Ejections()
    assert decide(ejections, A, TEN, 0.0) == 30.0
    assert decide(ejections, A, TEN, 10.0) is None, "it is out already"
    assert decide(ejections, A, TEN, 31.0) == 91.0
    assert decide(ejections, A, TEN, 92.0) == 182.0
    assert decide(ejections, A, TEN, 182.0 + 3 * 30.0) == 182.0 + 3 * 30.0 + 30.0
    assert ejections.counts == {"consecutive-errors": 4}


def test_the_last_endpoint_and_unknown_ones_are_left_alone() -> None:
    assert decide(Ejections(), A, frozenset({A}), 0.0) is None
    assert decide(Ejections(), A, frozenset({B}), 0.0) is None
    assert decide(Ejections(), A, frozenset({A, B}), 0.0) == 30.0


def test_an_ejection_that_somebody_else_ended_makes_room() -> None:
    ejections = Ejections()
    assert decide(ejections, A, TEN, 0.0) == 30.0
    assert decide(ejections, B, TEN, 1.0) is None, "one of ten is out"
    ejections.confirm({A}, 2.0)
    assert decide(ejections, B, TEN, 2.0) is None
    ejections.confirm(set(), 3.0)
    assert ejections.standing(3.0) == ()
    assert decide(ejections, B, TEN, 3.0) == 33.0


@given(
    st.integers(1, 40),
    st.integers(1, 100),
    st.lists(st.tuples(st.lists(st.integers(0, 39), max_size=8), st.integers(0, 50)), max_size=60),
)
def test_never_more_at_once_than_allowed(count: int, percent: int, sweeps: list[tuple[list[int], int]]) -> None:
    policy = OutlierDetection(max_ejected_percent=percent)
    endpoints = frozenset(f"10.0.0.{number}:1" for number in range(count))
    ejections, until, now = Ejections(), dict[str, float](), 0.0
    for numbers, pause in sweeps:
        now += pause
        for begun in ejections.decide([outlier(f"10.0.0.{number}:1") for number in numbers], endpoints, policy, now):
            assert policy.base_ejection <= begun.until - now <= policy.max_ejection
            assert until.get(begun.outlier.address, 0.0) <= now, "it was out already"
            until[begun.outlier.address] = begun.until
        out = {address for address, end in until.items() if end > now}
        assert {standing.outlier.address for standing in ejections.standing(now)} == out
        assert len(out) <= max(1, count * percent // 100)
        assert len(out) < count


@asynccontextmanager
async def watching(core: FakeCore, *backends: Backend) -> AsyncIterator[tuple[HealthBook, Outliers]]:
    """Endpoints are the backends' targets."""
    targets = {backend.name: backend.targets for backend in backends}
    core.endpoints = {name: [(address, 1, 0, 0) for address in addresses] for name, addresses in targets.items()}
    book = HealthBook(core, targets.__getitem__)
    watch = Outliers(core, book, targets.__getitem__)
    book.commit(backends)
    watch.commit(backends)
    running = [asyncio.create_task(book.run()), asyncio.create_task(watch.run())]
    yield book, watch
    for task in running:
        task.cancel()
    await asyncio.wait(running)


@pytest.mark.looptime
async def test_the_core_hears_of_an_ejection_and_of_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    core = FakeCore()
    backends = Backend("app", (A, B), outlier_detection=POLICY), Backend("plain", (A,))
    async with watching(core, *backends) as (book, watch):
        watch.seen(OutlierSeen("plain", A, 5))
        watch.seen(OutlierSeen("app", A, 5))
        watch.seen(OutlierSeen("app", B, 5))
        assert core.calls == [("set_health", "app", f"{A} unhealthy")]
        await asyncio.sleep(29.9)
        assert len(core.calls) == 1
        assert watch.reports()["app"].standing[A].seconds == pytest.approx(0.1)
        await asyncio.sleep(0.2)
        assert core.calls[1:] == [("set_health", "app", f"{A} unknown")]
        assert "5 calls in a row failed" in caplog.text
        assert [health.endpoint for health in book.states("app")] == [A]
        report = watch.reports()["app"]
        assert (report.counts, report.standing) == ({"consecutive-errors": 1}, {})
        assert list(watch.reports()) == ["app"]


SIX = tuple(f"10.0.0.{number}:1" for number in range(6))
RATES = OutlierDetection(success_rate=SuccessRate(), failure_percentage=FailurePercentage())


@pytest.mark.looptime
async def test_rates_are_looked_at_once_an_interval(caplog: pytest.LogCaptureFixture) -> None:
    core = FakeCore()
    core.calls_ended["app"] = [(address, 0, 1000, 1000) for address in SIX]
    async with watching(core, Backend("app", SIX, outlier_detection=RATES)) as (_, watch):
        bad = SIX[2]
        core.calls_ended["app"] = [(address, 100 - 90 * (address == bad), 1090, 1000) for address in SIX]
        await asyncio.sleep(9.9)
        assert core.calls == []
        await asyncio.sleep(0.2)
        assert core.calls == [("set_health", "app", f"{bad} unhealthy")]
        standing = watch.reports()["app"].standing[bad]
        assert (standing.kind, standing.times) == ("success-rate", 1)
        assert standing.reason == "success rate 10.0 % is below 15.3 % (mean 45.5 % - 1.9 x 15.9 %)"
        assert standing.reason in caplog.text
        await asyncio.sleep(15)
        assert len(core.calls) == 1, "nothing new came"
        await asyncio.sleep(15)
        assert core.calls[1:] == [("set_health", "app", f"{bad} unknown")]


@pytest.mark.looptime
async def test_what_was_before_a_reload_counts_no_more() -> None:
    core = FakeCore()
    plain = Backend("app", SIX, outlier_detection=POLICY)
    async with watching(core, plain) as (book, watch):
        await asyncio.sleep(100)
        core.calls_ended["app"] = [(address, 0, 0, 100 * (address == A)) for address in SIX]
        watch.commit([Backend("app", SIX, outlier_detection=RATES)])
        await asyncio.sleep(30)
        assert core.calls == []
        core.calls_ended["app"] = [(address, 100 * (address != A), 0, 200 * (address == A)) for address in SIX]
        await asyncio.sleep(10)
        assert core.calls == [("set_health", "app", f"{A} unhealthy")]
        watch.commit([plain])
        assert A in watch.reports()["app"].standing, "other rules forget no ejection"
        watch.commit([])
        book.commit([])
        assert watch.reports() == {}
        await asyncio.sleep(100)


@pytest.mark.looptime
@pytest.mark.parametrize("other", [A, "10.0.0.9:1"], ids=["ejected", "gone"])
async def test_who_is_out_weighs_nothing_in_the_next_sweep(other: str) -> None:
    """Its last calls end while it is out; they would pull the mean down and hide who is next."""
    core = FakeCore()
    policy = OutlierDetection(max_ejected_percent=50, success_rate=SuccessRate(1.9, 5, 100))
    async with watching(core, Backend("app", SIX, outlier_detection=policy)) as (book, _):
        if other == A:
            book.eject("app", A, Ejected(1000.0, "it is out already"))
        core.calls.clear()
        failed = dict.fromkeys(SIX, 0) | {SIX[3]: 5, other: 100}
        core.calls_ended["app"] = [(address, 100 - bad, 0, bad) for address, bad in failed.items()]
        await asyncio.sleep(11)
        assert core.calls == [("set_health", "app", f"{SIX[3]} unhealthy")]
