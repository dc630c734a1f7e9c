"""What is known of endpoints' health reaches the core: once, together, by each backend's own policy."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.balance.book import HealthBook
from gateway.balance.deadlines import Deadlines
from gateway.configuration.model import Backend, HealthCheck
from healthcheck.state import Admin, Ejected, Observation, Observed, Outcome
from tests.process.fakes import FakeCore

A, B, C = "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"
UP = (Observation(Outcome.SERVING),)
NO = (Observation(Outcome.NOT_SERVING),)
LOST = (Observation(Outcome.REFUSED),)
STEADY = HealthCheck(flap_damping=False)


def opened(*backends: Backend) -> tuple[FakeCore, HealthBook]:
    core = FakeCore()
    core.endpoints = {backend.name: [(target, 1, 0, 0) for target in backend.targets] for backend in backends}
    book = HealthBook(core, lambda name: [address for address, *_ in core.endpoints[name]])
    book.commit(backends)
    return core, book


@pytest.mark.looptime
async def test_what_is_learnt_together_is_told_together() -> None:
    core, book = opened(Backend("app", (A, B, C), health_check=STEADY))
    book.observe([("app", A, UP), ("app", B, NO), ("app", C, LOST)])
    assert core.calls == [("set_health", "app", f"{A} healthy", f"{B} unhealthy")]
    book.observe([("app", A, UP), ("app", B, NO)])
    assert len(core.calls) == 1
    book.observe([("app", A, NO + UP + UP)])
    assert len(core.calls) == 1, "it is healthy again before anybody was told"


@pytest.mark.looptime
async def test_each_backend_has_its_own_policy() -> None:
    strict = HealthCheck(unhealthy_threshold=1, healthy_threshold=3, flap_damping=False)
    core, book = opened(Backend("strict", (A,), health_check=strict), Backend("app", (A,), health_check=STEADY))
    for name in ("strict", "app"):
        book.observe([(name, A, UP + LOST)])
    assert core.said("set_health") == [("strict", f"{A} unhealthy"), ("app", f"{A} healthy")]
    book.observe([("strict", A, UP + UP)])
    assert len(core.calls) == 2
    book.observe([("strict", A, UP)])
    assert core.said("set_health")[-1] == ("strict", f"{A} healthy")


@pytest.mark.looptime
@pytest.mark.parametrize("after", [None, HealthCheck(service="other")], ids=["none", "another"])
async def test_a_check_that_changes_forgets_what_the_former_saw(after: HealthCheck | None) -> None:
    before = Backend("app", (A, B), health_check=STEADY)
    core, book = opened(before)
    book.observe([("app", A, NO), ("app", B, UP)])
    book.commit([before])
    assert len(core.calls) == 1
    book.commit([Backend("app", (A, B), health_check=after)], [("app", B, UP)])
    assert core.calls[1:] == [("set_health", "app", f"{A} unknown")]


@pytest.mark.looptime
async def test_who_is_gone_is_forgotten_and_new_when_he_comes_back() -> None:
    core, book = opened(Backend("app", (A, B), health_check=STEADY))
    book.observe([("app", A, NO), ("app", B, UP)])
    book.follow("app", [], [A])
    assert core.calls[1:] == [("set_health", "app", f"{A} unknown")]
    assert [health.endpoint for health in book.states("app")] == [B]
    book.follow("app", [A, B], None)
    book.observe([("app", A, UP)])
    assert core.calls[2:] == [("set_health", "app", f"{B} healthy"), ("set_health", "app", f"{A} healthy")]
    book.follow("nobody", [A], [B])


@pytest.mark.looptime
async def test_an_operators_word_outlives_everything() -> None:
    core, book = opened(Backend("app", (A, B), health_check=STEADY))
    book.observe([("app", A, UP), ("app", B, UP)])
    book.administer("app", A, Admin.DRAINED, "maintenance")
    assert core.calls[-1] == ("set_health", "app", f"{A} unhealthy")
    book.follow("app", [], [A])
    book.follow("app", [A], [])
    book.commit([Backend("app", (A, B))])
    assert book.drained("app") == {A}
    book.administer("app", A, Admin.ENABLED)
    assert book.drained("app") == frozenset()
    assert core.calls[-1] == ("set_health", "app", f"{A} unknown")


@pytest.mark.looptime
async def test_time_ends_what_time_began_for_many_endpoints() -> None:
    many = tuple(f"10.0.{number // 250}.{number % 250}:1" for number in range(1_000))
    core, book = opened(Backend("app", many))
    running = asyncio.create_task(book.run())
    for number in range(100):
        book.eject("app", many[number], Ejected(asyncio.get_running_loop().time() + 30.0, "failed"))
        await asyncio.sleep(0.1)
    await asyncio.sleep(19.95)
    assert len(core.calls) == 100
    for number in range(100):
        await asyncio.sleep(0.1)
        assert core.calls[-1] == ("set_health", "app", f"{many[number]} unknown")
    assert len(core.calls) == 200
    running.cancel()


@pytest.mark.looptime
async def test_changes_are_counted_by_their_reason() -> None:
    _, book = opened(Backend("app", (A, B), health_check=STEADY))
    book.observe([("app", A, UP), ("app", B, UP), ("app", A, NO)])
    book.eject("app", B, Ejected(asyncio.get_running_loop().time() + 30.0, "failed"))
    assert dict(book.changes()["app"]) == {
        ("observed", "FirstPass"): 2,
        ("observed", "NotServing"): 1,
        ("ejection", "Outlier"): 1,
    }
    assert book.states("app")[0].observed is Observed.NOT_SERVING
    book.commit([])
    assert book.changes() == {}


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 20)), max_size=60))
def test_deadlines_come_up_in_order_and_none_is_lost(sets: list[tuple[int, int]]) -> None:
    deadlines: Deadlines[int] = Deadlines()
    wanted: dict[int, int] = {}
    for key, time in sets:
        first = deadlines.set(key, time)
        is_first = time < min(wanted.values(), default=21)
        assert first or not is_first
        wanted[key] = min(wanted.get(key, time), time)
    assert deadlines.first() == min(wanted.values(), default=None)
    taken = [(now, key) for now in range(21) for key in deadlines.take(now)]
    assert sorted((time, key) for key, time in wanted.items()) == sorted(taken)
    assert all(before <= after for (before, _), (after, _) in pairwise(taken))
    assert deadlines.first() is None
