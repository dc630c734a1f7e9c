"""Which endpoints are near, by their zones or by topology hints."""

from __future__ import annotations

import asyncio

import pytest

from gateway.configuration.model import Backend, Balance
from gateway.discover.directory import Directory
from gateway.discover.nearness import distances
from gateway.discover.resolve import resolve
from gateway.discover.source import Endpoint
from tests.process.fakes import FakeCore

LOCAL = Balance(prefer_local=True)


def in_zone(zone: str, *for_zones: str) -> Endpoint:
    return Endpoint("10.0.0.1:1", zone=zone, for_zones=for_zones)


@pytest.mark.parametrize(
    ("endpoints", "expected"),
    [
        ([in_zone("a"), in_zone("b"), in_zone("")], (0, 1, 1)),
        ([in_zone("b"), in_zone("c")], (1, 1)),
        ([in_zone("b", "a"), in_zone("a", "b"), in_zone("a", "a", "b")], (0, 1, 0)),
        ([in_zone("b", "a"), in_zone("a")], (1, 0)),
        ([in_zone("b", "b"), in_zone("a", "c")], (1, 0)),
        ([], ()),
    ],
    ids=["zones", "none here", "hints", "one without a hint", "no hint for this zone", "none"],
)
def test_near_is_this_zone_or_what_hints_give_it(endpoints: list[Endpoint], expected: tuple[int, ...]) -> None:
    assert distances(endpoints, "a") == expected
    assert distances(endpoints, "") == (0,) * len(endpoints)


async def test_the_core_hears_how_far_endpoints_are() -> None:
    core = FakeCore()
    served = Directory(core, resolve)
    targets = ("static:10.0.0.1:1;zone=a,10.0.0.2:1;zone=b", "10.0.0.3:1")
    served.prepare([Backend("local", targets, balance=LOCAL), Backend("any", targets)], "a")
    running = asyncio.create_task(served.run())
    known = await served.attempted(5.0)
    assert known["local"] == (("10.0.0.1:1", 1, 0, 0), ("10.0.0.2:1", 1, 0, 1), ("10.0.0.3:1", 1, 0, 1))
    assert {distance for *_, distance in known["any"]} == {0}
    core.endpoints = {name: list(endpoints) for name, endpoints in known.items()}
    served.commit(known)
    assert core.calls == []
    assert served.addresses("any") == ("10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1")
    assert served.addresses("nobody") == ()
    assert [endpoint.zone for endpoint in served.reports()[0].described] == ["a", "b", ""]
    served.prepare([Backend("local", targets, balance=LOCAL), Backend("any", targets)], "b")
    served.commit(await served.attempted(5.0))
    assert core.endpoints["local"] == [("10.0.0.1:1", 1, 0, 1), ("10.0.0.2:1", 1, 0, 0), ("10.0.0.3:1", 1, 0, 1)]
    running.cancel()
