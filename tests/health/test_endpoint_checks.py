"""The prober's servers are kept in step with discovery, and what it finds becomes observations."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from gateway.balance.checks import Checks, Found, with_port
from gateway.configuration.model import Backend, HealthCheck
from healthcheck.state import Observation, Outcome
from tests.health.scripted import ScriptedProbing

A, B, C = "10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"


class World:
    """Checks of one backend `app`, and what they told."""

    def __init__(self) -> None:
        self.probing = ScriptedProbing()
        self.prober = self.probing.prober
        self.found: list[Found] = []
        self.calls = 0
        self.checks = Checks(self.observe, lambda backend: self.calls, self.probing)

    def observe(self, found: Sequence[Found]) -> None:
        self.found += found

    async def prepare(self, *addresses: str, check: HealthCheck | None, request: bytes = b"ask") -> None:
        backend = Backend("app", addresses, health_check=check)
        await self.checks.prepare([backend], {"app": request} if check else {}, {"app": addresses})

    async def serve(self, *addresses: str, check: HealthCheck | None = None, request: bytes = b"ask") -> list[Found]:
        """Prepares and commits while each endpoint answers SERVING at once."""
        check = check or HealthCheck()
        task = asyncio.create_task(self.prepare(*addresses, check=check, request=request))
        await asyncio.sleep(0.1)
        for address in addresses:
            if not task.done():
                self.prober.say(address, "SERVING")
        await task
        return self.checks.commit()

    async def hears(self) -> list[tuple[str, str, str]]:
        await asyncio.sleep(0.1)
        heard = [(address, str(one.outcome), one.detail) for _, address, seen in self.found for one in seen]
        self.found.clear()
        return heard


async def test_who_has_no_check_costs_no_thread() -> None:
    world = World()
    await world.prepare(A, check=None)
    assert world.checks.commit() == []
    world.checks.follow("app", [B], [A])
    assert world.probing.opened == 0
    assert world.checks.probes() == {}
    world.checks.aclose()


async def test_a_change_costs_what_it_changes() -> None:
    world = World()
    found = await world.serve(A, B)
    assert sorted((address, len(seen)) for _, address, seen in found) == [(A, 1), (B, 1)]
    world.prober.orders.clear()
    world.checks.follow("app", [C], [A])
    assert world.prober.orders == [f"-{A}", f"+{C}"]
    world.checks.follow("app", [C, B], [])
    world.checks.follow("app", [C, B], None)
    assert len(world.prober.orders) == 2
    world.checks.follow("app", [C, A], None)
    assert world.prober.orders[2:] == [f"-{B}", f"+{A}"]
    world.prober.say(C, "SERVING")
    assert await world.hears() == [(C, "SERVING", "serving")]
    world.checks.aclose()


@pytest.mark.looptime
async def test_the_first_round_is_waited_for_but_not_for_ever() -> None:
    world = World()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await world.prepare(A, B, check=HealthCheck(timeout=2.0))
    assert loop.time() - began == 3.5
    world.checks.commit()
    began = loop.time()
    await world.prepare(A, B, C, check=HealthCheck(timeout=60.0), request=b"other")
    assert loop.time() - began == 5.0
    world.checks.commit()
    began = loop.time()
    await world.prepare(A, B, C, check=HealthCheck(timeout=60.0), request=b"other")
    assert loop.time() == began
    world.checks.aclose()


async def test_what_is_refused_is_asked_no_more() -> None:
    world = World()
    await world.serve(A)
    world.prober.orders.clear()
    task = asyncio.create_task(world.prepare(A, B, check=HealthCheck()))
    await asyncio.sleep(0.1)
    world.prober.say(B, "NOT_SERVING")
    await task
    assert await world.hears() == [], "nobody serves it yet"
    world.checks.abandon()
    assert world.prober.orders == [f"+{B}", f"-{B}"]
    other = asyncio.create_task(world.prepare(A, check=HealthCheck(service="x"), request=b"other"))
    await asyncio.sleep(0.1)
    world.prober.say(A, "NOT_SERVING")
    await other
    world.checks.abandon()
    assert world.prober.orders[2:] == [f"+{A}", f"-{A}"]
    world.prober.say(A, "NOT_SERVING")
    assert await world.hears() == [(A, "NOT_SERVING", "not_serving")]
    assert world.checks.probes() == {"app": {"SERVING": 3 + 5}}
    world.checks.aclose()


async def test_what_the_prober_leaves_out_is_made_up_for() -> None:
    world = World()
    await world.serve(A, check=HealthCheck(unhealthy_threshold=4, healthy_threshold=3))
    for outcome, streak in (("REFUSED", 1), ("CONNECT_TIMEOUT", 2), ("CONNECT_TIMEOUT", 4), ("REFUSED", 99)):
        world.prober.say(A, outcome, streak)
    heard = [outcome for _, outcome, _ in await world.hears()]
    assert heard == ["REFUSED", *["CONNECT_TIMEOUT"] * 3, *["REFUSED"] * 4]
    world.prober.say(A, "SERVING", 1)
    world.prober.say(A, "SERVING", 3)
    assert len(await world.hears()) == 3
    world.checks.aclose()


async def test_watch_speaks_once_and_a_server_without_health_passes() -> None:
    world = World()
    await world.serve(A)
    world.prober.say(A, "NOT_SERVING", watched=True)
    world.prober.say(A, "SERVING", watched=True)
    world.prober.say(A, "UNIMPLEMENTED", 2)
    await asyncio.sleep(0.1)
    seen = [one for _, _, some in world.found for one in some]
    assert seen[:2] == [
        Observation(Outcome.NOT_SERVING, "not_serving", watched=True),
        Observation(Outcome.SERVING, "serving", watched=True),
    ]
    assert seen[2].outcome is Outcome.SERVING
    assert "no grpc.health.v1" in seen[2].detail
    world.checks.aclose()


@pytest.mark.looptime
async def test_a_backend_without_calls_is_quiet() -> None:
    world = World()
    await world.prepare(A, check=HealthCheck(no_traffic_interval=30.0, timeout=0.1))
    world.checks.commit()
    running = asyncio.create_task(world.checks.run())
    await asyncio.sleep(25)
    assert world.prober.quiet == [(b"ask", False)]
    await asyncio.sleep(10)
    assert world.prober.quiet[1:] == [(b"ask", True)]
    world.calls += 1
    await asyncio.sleep(1.5)
    assert world.prober.quiet[2:] == [(b"ask", False)]
    running.cancel()
    world.checks.aclose()


@pytest.mark.parametrize(
    ("address", "port", "expected"),
    [(A, None, A), (A, 80, "10.0.0.1:80"), ("[::1]:5", 80, "[::1]:80"), ("unix:///run/x", 80, "unix:///run/x")],
)
def test_checks_go_to_another_port_where_that_is_said(address: str, port: int | None, expected: str) -> None:
    assert with_port(address, port) == expected
