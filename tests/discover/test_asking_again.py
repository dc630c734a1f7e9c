"""An endpoint that is lost has its name asked for again: at once, and then not too often. In virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.configuration.model import Backend, LookupFamily
from gateway.discover.again import Again
from gateway.discover.directory import Directory
from gateway.discover.dns.records import Addresses, Kind, QuestionFailed, Services
from gateway.discover.dns.source import DnsName
from gateway.discover.dns.target import DnsTarget, parse
from gateway.discover.names import HostName
from gateway.discover.source import Polling, Settings, Source
from gateway.discover.static_list import StaticList
from gateway.discover.static_list import parse as parse_list
from tests.process.fakes import FakeCore

pytestmark = pytest.mark.looptime

HOUR = 3600.0


class Names:
    """A name's addresses, that a test changes; None is a failure. `asked` is when it was asked for."""

    def __init__(self, *found: str) -> None:
        self.found: tuple[str, ...] | None = found
        self.asked: list[float] = []

    def answer(self) -> tuple[str, ...]:
        self.asked.append(round(asyncio.get_running_loop().time(), 2))
        if self.found is None:
            raise QuestionFailed("no answer.")
        return self.found

    async def resolve(self, host: str, family: LookupFamily) -> tuple[str, ...]:
        return self.answer()

    async def addresses(self, name: str, kind: Kind) -> Addresses:
        return Addresses(self.answer(), HOUR)

    async def services(self, name: str) -> Services:
        raise NotImplementedError


def host_name(names: Names) -> Source:
    return HostName("app", 1, Settings(HOUR, resolve=names.resolve), Again(lambda: 0.5))


def dns_name(names: Names) -> Source:
    async def ask(target: DnsTarget, settings: Settings) -> Names:
        return names

    return DnsName(parse("dns:///app:1"), Settings(), ask, lambda: 0.5, Again(lambda: 0.5))


def static_list(names: Names) -> Source:
    return StaticList(parse_list("static:app:1;weight=2"), Settings(HOUR, resolve=names.resolve), Again(lambda: 0.5))


@asynccontextmanager
async def followed(source: Source) -> AsyncIterator[Polling]:
    """Its name has been asked for once."""

    asked = asyncio.Event()

    async def follow() -> None:
        async for _ in source.watch():
            asked.set()

    running = asyncio.create_task(follow())
    await asked.wait()
    assert isinstance(source, Polling)
    yield source
    running.cancel()
    await asyncio.wait([running])


SOURCES = pytest.mark.parametrize("make", [host_name, dns_name, static_list])
Make = Callable[[Names], Source]


@SOURCES
async def test_it_is_asked_at_once_where_the_last_answer_is_older_than_a_second(make: Make) -> None:
    names = Names("10.0.0.1")
    async with followed(make(names)) as source:
        await asyncio.sleep(50)
        assert names.asked == [0.0]
        names.found = ("10.0.0.2",)
        source.refresh()
        await asyncio.sleep(0)
        await asyncio.sleep(0.1)
        source.refresh()
        source.refresh()
        await asyncio.sleep(100)
        assert names.asked == [0.0, 50.0, 51.0]
        await asyncio.sleep(HOUR - 50)
        assert names.asked[3:] == [51.0 + HOUR]


@SOURCES
async def test_the_same_answers_are_asked_for_less_and_less_until_one_differs(make: Make) -> None:
    names = Names("10.0.0.1", "10.0.0.2")
    async with followed(make(names)) as source:

        async def lose(seconds: float) -> list[float]:
            """An endpoint is lost ten times a second for so long; returns the pauses between the questions."""
            start = len(names.asked) - 1
            for _ in range(round(seconds * 10)):
                source.refresh()
                await asyncio.sleep(0.1)
            return [round(b - a, 1) for a, b in zip(names.asked[start:], names.asked[start + 1 :], strict=False)]

        pauses = await lose(120)
        assert pauses == pytest.approx([1.0, 1.0, 1.6, 2.6, 4.1, 6.6, 10.5, 16.8, 26.8, 30.0], abs=0.1)
        names.found = ("10.0.0.2", "10.0.0.1")
        await lose(60)
        assert names.asked[-1] - names.asked[-2] == pytest.approx(30.0, abs=0.1), "the order says nothing new"
        names.found = ("10.0.0.3",)
        assert (await lose(40))[:4] == pytest.approx([30.0, 1.0, 1.0, 1.6], abs=0.1)


async def test_a_name_server_that_fails_is_not_asked_the_more_for_it() -> None:
    names = Names("10.0.0.1")
    async with followed(dns_name(names)) as source:
        await asyncio.sleep(10)
        names.found = None
        for _ in range(100):
            source.refresh()
            await asyncio.sleep(0.1)
        assert names.asked == pytest.approx([0.0, 10.0, 11.0, 12.6, 15.16, 19.26], abs=0.02)


async def test_only_the_names_of_the_backend_that_lost_an_endpoint_are_asked_for() -> None:
    core, asked = FakeCore(), list[str]()
    core.endpoints = {"a": [], "b": [], "fixed": []}

    async def resolve(host: str, family: LookupFamily) -> tuple[str, ...]:
        asked.append(host)
        return ("10.0.0.1",)

    directory = Directory(core, resolve, HOUR)
    directory.prepare([Backend("a", ("a:1", "a2:1")), Backend("b", ("b:1",)), Backend("fixed", ("10.0.0.9:1",))])
    running = asyncio.create_task(directory.run())
    directory.commit(await directory.attempted(1.0))
    await asyncio.sleep(2)
    assert sorted(asked) == ["a", "a2", "b"]
    asked.clear()
    for backend in ("a", "fixed", "nobody"):
        directory.refresh(backend)
    await asyncio.sleep(2)
    assert sorted(asked) == ["a", "a2"]
    running.cancel()
    await asyncio.wait([running])
