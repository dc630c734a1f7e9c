"""`static:` lists: what they say, and what is refused."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration.model import LookupFamily
from gateway.configuration.quantities import HIGHEST_WEIGHT
from gateway.discover.names import HostName
from gateway.discover.resolve import ResolveError
from gateway.discover.schemes import check, open_source
from gateway.discover.source import Endpoint, Failed, Found, Settings
from gateway.discover.static_list import parse, spell


async def test_a_list_says_weight_zone_priority_and_metadata() -> None:
    text = "static:10.0.0.1:50051;weight=3;zone=a;priority=1;metadata.version=2%2C1, [::1]:1,unix:///run/a.sock"
    source = open_source(text, Settings())
    assert [update async for update in source.watch()] == [
        Found(
            (
                Endpoint("10.0.0.1:50051", 3, "a", 1, (("version", "2,1"),)),
                Endpoint("[::1]:1"),
                Endpoint("unix:///run/a.sock"),
            )
        )
    ]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("", "an address is missing"),
        ("10.0.0.1:1,", "an address is missing"),
        ("10.0.0.1:0", "port 0"),
        ("10.0.0.1", "a port is missing"),
        ("dns:///app:1", "a static list holds"),
        ("10.0.0.1:1;weight=NaN", 'weight "NaN" is not a whole number from 1'),
        ("10.0.0.1:1;weight=0", 'weight "0"'),
        ("10.0.0.1:1;weight=-1", 'weight "-1"'),
        ("10.0.0.1:1;weight=65536", 'weight "65536"'),
        ("10.0.0.1:1;weight=1.5", 'weight "1.5"'),
        ("10.0.0.1:1;weight=٣", "weight"),
        ("10.0.0.1:1;priority=x", 'priority "x" is not a whole number from 0'),
        ("10.0.0.1:1;wieght=3", 'did you mean "weight"'),
        ("10.0.0.1:1;metadata.=3", '"metadata."'),
        ("10.0.0.1:1;weight", "is not NAME=VALUE"),
        ("10.0.0.1:1;weight=1;weight=1", "weight is given a second time"),
        ("10.0.0.1:1;zone=a,10.0.0.1:1;zone=b", "10.0.0.1:1 is given a second time, and differs: zone a and b"),
        ("[::1]:1;weight=2,[0:0::1]:1", "differs: weight 2 and 1"),
        ("App:1,app:1;metadata.a=b", "differs: other metadata"),
    ],
)
async def test_what_is_wrong_with_an_entry_is_said(entries: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace(".", r"\.").replace("[", r"\[")):
        check(f"static:{entries}")


async def test_what_says_the_same_twice_counts_once() -> None:
    assert parse("static:[::1]:1;weight=2,[0:0::1]:1;weight=2") == (Endpoint("[::1]:1", 2),)


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
ENDPOINTS = st.builds(
    Endpoint,
    address=st.sampled_from(["10.0.0.1:50051", "[::1]:1", "app.example.com:80", "unix:///run/a,b;c%.sock"]),
    weight=st.integers(1, HIGHEST_WEIGHT),
    zone=WORDS | st.just(""),
    priority=st.integers(0, HIGHEST_WEIGHT),
    metadata=st.dictionaries(WORDS, WORDS, max_size=3).map(lambda known: tuple(known.items())),
)


@given(endpoint=ENDPOINTS)
def test_what_is_spelled_is_read_back(endpoint: Endpoint) -> None:
    assert parse(spell(endpoint)) == (endpoint,)


class Names:
    def __init__(self, **hosts: tuple[str, ...] | None) -> None:
        self.hosts = hosts

    async def __call__(self, host: str, family: LookupFamily) -> tuple[str, ...]:
        answer = self.hosts[host]
        if answer is None:
            raise ResolveError(f"{host} cannot be resolved.")
        return answer


@pytest.mark.looptime
async def test_every_address_of_a_name_has_what_is_said_of_the_name() -> None:
    names = Names(blue=("10.0.0.1", "10.0.0.2"), green=("10.0.0.2", "10.0.0.3"))
    stream = open_source("static:blue:1;weight=9,green:1;zone=g", Settings(5.0, resolve=names)).watch()
    blue, shared = Endpoint("10.0.0.1:1", 9), Endpoint("10.0.0.2:1", 9)
    assert await anext(stream) == Found((blue, shared, Endpoint("10.0.0.3:1", 1, "g")))
    names.hosts["green"] = ()
    assert await anext(stream) == Found((blue, shared))
    assert asyncio.get_running_loop().time() == pytest.approx(5.0)


@pytest.mark.looptime
async def test_a_name_that_fails_keeps_its_addresses_and_leaves_the_rest_alone() -> None:
    names = Names(blue=("10.0.0.1",), green=("10.0.0.2",))
    stream = open_source("static:blue:1,green:1,10.0.0.9:1", Settings(5.0, resolve=names)).watch()
    nine = Endpoint("10.0.0.9:1")
    assert await anext(stream) == Found((Endpoint("10.0.0.1:1"), Endpoint("10.0.0.2:1"), nine))
    names.hosts.update(blue=None, green=("10.0.0.3",))
    assert await anext(stream) == Found((Endpoint("10.0.0.1:1"), Endpoint("10.0.0.3:1"), nine))
    assert await anext(stream) == Failed("blue cannot be resolved.")
    assert await anext(stream) == Failed("blue cannot be resolved.")
    names.hosts.update(blue=("10.0.0.1",))
    assert await anext(stream) == Found((Endpoint("10.0.0.1:1"), Endpoint("10.0.0.3:1"), nine))


async def test_a_host_may_be_called_as_a_scheme() -> None:
    """`dns:50051` is a host and a port."""
    assert open_source("dns:50051", Settings()) == HostName("dns", 50051, Settings())
