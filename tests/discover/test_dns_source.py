"""What a `dns:` source makes of answers and failures, in virtual time, with scripted name servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration.model import LookupFamily
from gateway.discover.dns.records import Addresses, Kind, QuestionFailed, Service, Services, of_services
from gateway.discover.dns.source import DnsName
from gateway.discover.dns.target import DnsTarget, parse
from gateway.discover.source import Endpoint, Failed, Found, Settings, Update


class Script:
    """Answers by (name, kind); a text is a failure, and what is absent does not exist."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Any] = {}
        self.asked: list[tuple[float, str, str]] = []

    async def __call__(self, target: DnsTarget, settings: Settings) -> Script:
        return self

    async def addresses(self, name: str, kind: Kind) -> Addresses:
        answer = self._answer(name, kind)
        assert isinstance(answer, Addresses | None)
        return answer or Addresses((), 1.0, exists=False)

    async def services(self, name: str) -> Services:
        answer = self._answer(name, "SRV")
        assert isinstance(answer, Services | None)
        return answer or Services((), 1.0, exists=False)

    def _answer(self, name: str, kind: str) -> Any:
        self.asked.append((round(asyncio.get_running_loop().time(), 3), name, kind))
        answer = self.answers.get((name, kind))
        if isinstance(answer, str):
            raise QuestionFailed(answer)
        return answer


def follow(script: Script, target: str, family: LookupFamily = "v4preferred") -> AsyncIterator[Update]:
    return DnsName(parse(target), Settings(5.0, family), script, lambda: 0.5).watch()


def addresses(update: Update) -> tuple[str, ...]:
    assert isinstance(update, Found)
    return tuple(endpoint.address for endpoint in update.endpoints)


@pytest.mark.looptime
async def test_the_ttl_is_honoured_and_the_order_of_answers_is_not() -> None:
    script = Script()
    script.answers["app", "A"] = Addresses(("10.0.0.2", "10.0.0.1"), 30.0)
    stream = follow(script, "dns:///app:1")
    assert addresses(await anext(stream)) == ("10.0.0.1:1", "10.0.0.2:1")
    script.answers["app", "A"] = Addresses(("10.0.0.3",), 0.0)
    assert addresses(await anext(stream)) == ("10.0.0.3:1",)
    await anext(stream)
    assert [at for at, *_ in script.asked] == [0.0, 30.0, 31.0]


@pytest.mark.looptime
async def test_failures_are_asked_again_with_growing_pauses_and_an_answer_ends_them() -> None:
    script = Script()
    script.answers["app", "A"] = "no answer."
    stream = follow(script, "dns:///app:1?interval=1m")
    for _ in range(4):
        assert await anext(stream) == Failed("no answer.")
    script.answers["app", "A"] = Addresses(("10.0.0.1",), 1.0)
    assert addresses(await anext(stream)) == ("10.0.0.1:1",)
    script.answers["app", "A"] = "no answer."
    await anext(stream)
    await anext(stream)
    pauses = [after - before for (before, *_), (after, *_) in zip(script.asked, script.asked[1:], strict=False)]
    assert pauses == pytest.approx([1.0, 1.6, 2.56, 4.096, 60.0, 1.0], abs=0.01)


@pytest.mark.looptime
async def test_an_empty_answer_is_believed_and_asked_again_soon() -> None:
    script = Script()
    script.answers["app", "A"] = script.answers["app", "AAAA"] = Addresses((), 3600.0)
    stream = follow(script, "dns:///app:1")
    assert await anext(stream) == Found((), "app has no addresses.")
    script.answers.clear()
    assert await anext(stream) == Found((), "app does not exist.")
    assert script.asked[-1] == (5.0, "app", "A")


@pytest.mark.parametrize(
    ("family", "asked", "found"),
    [
        ("v4preferred", ["A"], ("10.0.0.1:1",)),
        ("auto", ["AAAA"], ("[::1]:1",)),
        ("v4only", ["A"], ("10.0.0.1:1",)),
        ("v6only", ["AAAA"], ("[::1]:1",)),
        ("all", ["A", "AAAA"], ("10.0.0.1:1", "[::1]:1")),
    ],
)
async def test_only_what_counts_is_asked_for(family: LookupFamily, asked: list[str], found: tuple[str, ...]) -> None:
    script = Script()
    script.answers["app", "A"] = Addresses(("10.0.0.1",), 30.0)
    script.answers["app", "AAAA"] = Addresses(("::1",), 30.0)
    assert addresses(await anext(follow(script, "dns:///app:1", family))) == found
    assert [kind for *_, kind in script.asked] == asked


async def test_a_failure_for_one_kind_is_no_answer() -> None:
    """Else a dual-stack service would lose half of its endpoints."""
    script = Script()
    script.answers["app", "A"] = Addresses(("10.0.0.1",), 30.0)
    script.answers["app", "AAAA"] = "SERVFAIL."
    assert await anext(follow(script, "dns:///app:1", "all")) == Failed("SERVFAIL.")


@pytest.mark.parametrize(("count", "hinted"), [(1, True), (2, False)])
async def test_a_name_with_one_address_gets_a_hint(count: int, hinted: bool) -> None:
    script = Script()
    script.answers["app", "A"] = Addresses(tuple(f"10.0.0.{number}" for number in range(1, count + 1)), 30.0)
    update = await anext(follow(script, "dns:///app:1"))
    assert isinstance(update, Found)
    assert ("headless" in update.hint) is hinted


def script_of_services() -> Script:
    script = Script()
    script.answers["_grpc._tcp.app", "SRV"] = Services((Service("a.", 1, 10, 60), Service("b.", 2, 20, 0)), 30.0)
    script.answers["a.", "A"] = Addresses(("10.0.0.1", "10.0.0.3"), 20.0)
    script.answers["b.", "A"] = Addresses(("10.0.0.2",), 40.0)
    return script


@pytest.mark.looptime
async def test_srv_records_say_port_priority_and_weight() -> None:
    script = script_of_services()
    stream = follow(script, "dns:///app")
    a, b = Endpoint("10.0.0.1:1", 60, priority=10), Endpoint("10.0.0.2:2", 1, priority=20)
    assert await anext(stream) == Found((a, Endpoint("10.0.0.3:1", 60, priority=10), b))
    await anext(stream)
    assert script.asked[-1][0] == 20.0


@pytest.mark.looptime
async def test_a_target_that_is_gone_counts_no_longer() -> None:
    script = script_of_services()
    script.answers["b.", "A"] = Addresses(("10.0.0.2",), 2.0)
    stream = follow(script, "dns:///app")
    await anext(stream)
    script.answers["_grpc._tcp.app", "SRV"] = Services((Service("a.", 1, 10, 60),), 30.0)
    assert addresses(await anext(stream)) == ("10.0.0.1:1", "10.0.0.3:1")
    await anext(stream)
    assert script.asked[-1] == (22.0, "a.", "A")


async def test_addresses_that_came_with_srv_records_are_not_asked_for() -> None:
    script = script_of_services()
    found = script.answers["_grpc._tcp.app", "SRV"].found
    script.answers["_grpc._tcp.app", "SRV"] = Services(found, 30.0, beside={("a.", "A"): ("10.0.0.9",)})
    assert addresses(await anext(follow(script, "dns:///app"))) == ("10.0.0.9:1", "10.0.0.2:2")
    assert ("a.", "A") not in [(name, kind) for _, name, kind in script.asked]


@pytest.mark.looptime
async def test_a_target_of_srv_records_that_fails_keeps_its_addresses() -> None:
    script = script_of_services()
    stream = follow(script, "dns:///app")
    await anext(stream)
    script.answers["a.", "A"] = "a. cannot be resolved."
    script.answers["b.", "A"] = Addresses(("10.0.0.7",), 40.0)
    update = await anext(stream)
    assert addresses(update) == ("10.0.0.1:1", "10.0.0.3:1", "10.0.0.7:2")
    assert isinstance(update, Found)
    assert update.hint == "a. cannot be resolved."
    script.answers["_grpc._tcp.app", "SRV"] = Services((Service("a.", 1),), 30.0)
    assert addresses(await anext(stream)) == ("10.0.0.1:1", "10.0.0.3:1")


async def test_where_no_target_can_be_asked_for_the_lookup_failed() -> None:
    script = script_of_services()
    script.answers["a.", "A"] = script.answers["b.", "A"] = "SERVFAIL."
    assert await anext(follow(script, "dns:///app")) == Failed("SERVFAIL.")


async def test_bad_srv_records_are_left_out_and_named() -> None:
    script = script_of_services()
    bad = (Service("a.", 0), Service("gone.", 1), Service("b.", 2))
    script.answers["_grpc._tcp.app", "SRV"] = Services(bad, 30.0)
    update = await anext(follow(script, "dns:///app"))
    assert isinstance(update, Found)
    assert addresses(update) == ("10.0.0.2:2",)
    assert "a. says port 0" in update.hint
    assert "gone., which an SRV record names, has no addresses" in update.hint


async def test_a_name_without_srv_records_is_empty_and_says_how_to_use_its_addresses() -> None:
    update = await anext(follow(Script(), "dns:///app"))
    assert isinstance(update, Found)
    assert update.endpoints == ()
    assert "_grpc._tcp.app" in update.hint
    assert "with a port" in update.hint


SERVICES = st.lists(
    st.builds(
        Service,
        target=st.sampled_from(["a.", "b.", "c."]),
        port=st.integers(0, 3),
        priority=st.integers(0, 3),
        weight=st.integers(0, 65535),
    ),
    max_size=12,
)
TARGETS = st.dictionaries(
    st.sampled_from(["a.", "b.", "c."]),
    st.builds(Addresses, st.lists(st.sampled_from(["10.0.0.1", "::1", "10.0.0.2"])).map(tuple), st.floats(0, 100)),
)


@given(services=SERVICES, targets=TARGETS)
def test_endpoints_of_srv_records_are_unique_and_usable(services: list[Service], targets: dict[str, Addresses]) -> None:
    lookup = of_services("app", Services(tuple(services), 50.0), targets, ())
    addresses = [endpoint.address for endpoint in lookup.endpoints]
    assert len(set(addresses)) == len(addresses)
    assert all(endpoint.weight >= 1 and not endpoint.address.endswith(":0") for endpoint in lookup.endpoints)
    usable = [service for service in services if service.port and targets.get(service.target, Addresses((), 0)).found]
    assert bool(lookup.endpoints) == bool(usable)
    if usable:
        assert lookup.endpoints[0].priority == min(service.priority for service in usable)
