"""How the sources of registries go through trouble, in virtual time, against clients that a script answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from gateway.configuration.model import LookupFamily
from gateway.discover.consul.access import Query
from gateway.discover.consul.client import Answer, ConsulError
from gateway.discover.consul.source import WAIT, Service
from gateway.discover.etcd.client import Change, Changes, EtcdError, KeyValue, Listing, WatchEndedError
from gateway.discover.etcd.layout import write
from gateway.discover.etcd.source import QUIET, Prefix
from gateway.discover.resolve import ResolveError
from gateway.discover.source import Endpoint, Failed, Found, Settings, Update

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


class Scripted:
    """A client that can be closed, and notes when it was asked."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.closed = True

    def note(self) -> None:
        self.asked.append(asyncio.get_running_loop().time())


class Store(Scripted):
    """An etcd in memory. `down` answers everything with an error; `mute` keeps changes from the watches."""

    def __init__(self, **servers: str) -> None:
        super().__init__()
        self.revision = 1
        self.keys = {f"svc/{name}".encode(): value(address) for name, address in servers.items()}
        self.written = dict.fromkeys(self.keys, self.revision)
        self.down = ""
        self.mute = False
        self.watches: list[asyncio.Queue[tuple[Change, ...] | EtcdError]] = []
        self.started_at: list[int] = []

    def put(self, name: str, text: bytes | None) -> None:
        self.revision += 1
        key = f"svc/{name}".encode()
        if text is None:
            del self.keys[key]
        else:
            self.keys[key], self.written[key] = text, self.revision
        if not self.mute:
            self.say((Change(key, text, self.revision),))

    def say(self, event: tuple[Change, ...] | EtcdError) -> None:
        for watch in self.watches:
            watch.put_nowait(event)

    async def list_range(self, start: bytes, end: bytes, *, changed_since: int = 0) -> Listing:
        self.note()
        if self.down:
            raise EtcdError(self.down)
        within = [KeyValue(key, text) for key, text in self.keys.items() if start <= key < end]
        changed = tuple(one for one in within if self.written[one.key] >= changed_since)
        return Listing(self.revision, len(within), changed)

    async def watch(self, start: bytes, end: bytes, revision: int, quiet: float) -> Changes:
        self.started_at.append(revision)
        events: asyncio.Queue[tuple[Change, ...] | EtcdError] = asyncio.Queue()
        self.watches.append(events)
        try:
            while True:
                try:
                    async with asyncio.timeout(quiet):
                        event = await events.get()
                except TimeoutError:
                    event = ()
                if isinstance(event, EtcdError):
                    raise event
                yield event
        finally:
            self.watches.remove(events)


def value(address: str, **metadata: object) -> bytes:
    host, _, port = address.rpartition(":")
    return write(host, int(port), metadata)


def found(*addresses: str) -> Found:
    return Found(tuple(Endpoint(address) for address in addresses))


class Names:
    def __init__(self) -> None:
        self.hosts: dict[str, tuple[str, ...]] = {}

    async def __call__(self, host: str, family: LookupFamily) -> tuple[str, ...]:
        if host not in self.hosts:
            raise ResolveError(f"{host} cannot be resolved.")
        return self.hosts[host]


def etcd(store: Store, settings: Settings = Settings()) -> Any:  # noqa: B008  it is frozen
    return aclosing(Prefix("etcd:///svc", "svc", settings, lambda: store).watch())


async def test_changes_in_etcd_follow_the_listing() -> None:
    store = Store(a="10.0.0.1:1", b="10.0.0.2:1")
    async with etcd(store) as updates:
        assert await anext(updates) == found("10.0.0.1:1", "10.0.0.2:1")
        changed = asyncio.ensure_future(anext(updates))
        await asyncio.sleep(1)
        store.put("c", value("10.0.0.3:1"))
        assert await changed == found("10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1")
        store.put("a", value("10.0.0.1:1", weight=3))
        assert (await anext(updates)).endpoints[0] == Endpoint("10.0.0.1:1", 3, metadata=(("weight", "3"),))
        for name in "abc":
            store.put(name, None)
        assert await anext(updates) == found("10.0.0.2:1", "10.0.0.3:1")
        assert await anext(updates) == found("10.0.0.3:1")
        assert await anext(updates) == found()
        assert store.started_at == [2]
    assert store.closed


async def test_a_torn_value_leaves_the_rest_and_is_named() -> None:
    store = Store(a="10.0.0.1:1", b="10.0.0.2:1")
    async with etcd(store) as updates:
        await anext(updates)
        changed = asyncio.ensure_future(anext(updates))
        await asyncio.sleep(1)
        store.put("b", b'{"Op":0,"Ad')
        update = await changed
        assert update.endpoints == (Endpoint("10.0.0.1:1"),)
        assert "'svc/b': its value is not JSON" in update.hint


async def test_a_compacted_watch_is_followed_by_a_listing_and_is_no_failure() -> None:
    store = Store(a="10.0.0.1:1")
    async with etcd(store) as updates:
        await anext(updates)
        changed = asyncio.ensure_future(anext(updates))
        await asyncio.sleep(1)
        store.mute = True
        store.put("b", value("10.0.0.2:1"))
        store.say(WatchEndedError("revisions before 9 are compacted"))
        assert await changed == found("10.0.0.1:1", "10.0.0.2:1")
        assert asyncio.get_running_loop().time() < 2


async def test_a_watch_that_ends_again_and_again_is_a_failure_and_asked_for_ever_more_seldom() -> None:
    store = Store(a="10.0.0.1:1")
    seen: list[Update] = []

    async def collect() -> None:
        async with etcd(store) as updates:
            async for update in updates:
                seen.append(update)
                if isinstance(update, Failed) and len(seen) > 30:
                    return

    async def spoil() -> None:
        while True:
            await asyncio.sleep(0.1)
            store.say(WatchEndedError("no"))

    spoiling = asyncio.create_task(spoil())
    async with asyncio.timeout(3000):
        await collect()
    spoiling.cancel()
    assert isinstance(seen[1], Failed)
    gaps = [later - earlier for earlier, later in zip(store.asked, store.asked[1:], strict=False)]
    assert gaps[0] < 0.5
    assert 24 < gaps[-1] < 37


async def test_what_fails_is_said_and_asked_again_until_it_answers() -> None:
    store = Store(a="10.0.0.1:1")
    store.down = "etcd at http://x cannot be reached."
    async with etcd(store) as updates:
        for _ in range(5):
            assert await anext(updates) == Failed("etcd:///svc: etcd at http://x cannot be reached.")
        store.down = ""
        assert await anext(updates) == found("10.0.0.1:1")


async def test_a_silent_watch_is_checked() -> None:
    """Packets that vanish look like a service that does not change."""
    store = Store(a="10.0.0.1:1")
    async with etcd(store) as updates:
        await anext(updates)
        following = asyncio.ensure_future(anext(updates))
        await asyncio.sleep(QUIET * 10 + 1)
        assert not following.done()
        assert len(store.asked) == 11
        store.down = "gone"
        assert await following == Failed("etcd:///svc: gone")
        store.down = ""
        assert await anext(updates) == found("10.0.0.1:1")
        store.mute = True
        store.put("b", value("10.0.0.2:1"))
        assert await anext(updates) == found("10.0.0.1:1", "10.0.0.2:1")


async def test_a_silent_watch_misses_no_server_that_took_the_place_of_another() -> None:
    """There are as many as before, so counting them does not tell."""
    store = Store(a="10.0.0.1:1", b="10.0.0.2:1")
    async with etcd(store) as updates, asyncio.timeout(QUIET * 5):
        await anext(updates)
        store.mute = True
        store.put("a", value("10.0.0.9:1"))
        assert await anext(updates) == found("10.0.0.9:1", "10.0.0.2:1")
        store.put("b", None)
        store.put("c", value("10.0.0.3:1"))
        assert await anext(updates) == found("10.0.0.9:1", "10.0.0.3:1")


async def test_what_was_watched_is_not_listed_again() -> None:
    store = Store(a="10.0.0.1:1")
    async with etcd(store) as updates:
        await anext(updates)
        changed = asyncio.ensure_future(anext(updates))
        await asyncio.sleep(1)
        store.put("a", value("10.0.0.2:1"))
        assert await changed == found("10.0.0.2:1")
        following = asyncio.ensure_future(anext(updates))
        await asyncio.sleep(QUIET * 3 + 1)
        assert not following.done()
        assert store.started_at == [2]
        following.cancel()
        await asyncio.wait([following])


async def test_names_in_a_registry_are_resolved_again() -> None:
    names = Names()
    names.hosts["app"] = ("10.0.0.1",)
    store = Store(a="app:1", b="10.0.0.9:1")
    async with etcd(store, Settings(resolve=names)) as updates:
        assert await anext(updates) == found("10.0.0.1:1", "10.0.0.9:1")
        names.hosts["app"] = ("10.0.0.2", "10.0.0.3")
        assert await anext(updates) == found("10.0.0.2:1", "10.0.0.3:1", "10.0.0.9:1")
        names.hosts.clear()
        store.put("b", None)
        assert await anext(updates) == found("10.0.0.2:1", "10.0.0.3:1")


@dataclass
class Agent(Scripted):
    """Answers each question with the next of its script: after so many seconds, with an answer or an error."""

    script: list[tuple[float, Answer | ConsulError]]
    questions: list[tuple[int, float]] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    closed: bool = False

    async def instances(self, query: Query, index: int, wait: float) -> Answer:
        self.note()
        self.questions.append((index, wait))
        if not self.script:
            await asyncio.get_running_loop().create_future()
        seconds, outcome = self.script.pop(0)
        await asyncio.sleep(seconds)
        if isinstance(outcome, ConsulError):
            raise outcome
        return outcome


def answer(index: int | str | None, *ports: int, filtered: bool = False) -> Answer:
    instances = [{"Service": {"ID": str(port), "Address": "10.0.0.1", "Port": port}} for port in ports]
    return Answer(instances, None if index is None else str(index), filtered)


async def collect(agent: Agent, updates: int) -> list[Update]:
    source = Service("consul:///svc", Query("svc"), Settings(), lambda: agent)
    stream: AsyncIterator[Update] = source.watch()
    async with aclosing(stream) as watched:  # type: ignore[type-var]
        seen = [await anext(watched) for _ in range(updates)]
        following = asyncio.ensure_future(anext(watched))
        await asyncio.sleep(100)
        assert not following.done()
        following.cancel()
        await asyncio.wait([following])
    return seen


async def test_consul_is_asked_for_what_is_newer() -> None:
    agent = Agent([(0, answer(7, 1)), (3, answer(9, 1, 2)), (WAIT, answer(9, 1, 2)), (1, answer(12))])
    seen = await collect(agent, 3)
    assert seen[:2] == [found("10.0.0.1:1"), found("10.0.0.1:1", "10.0.0.1:2")]
    assert isinstance(seen[2], Found)
    assert seen[2].endpoints == ()
    assert "no instance that passes" in seen[2].hint
    assert agent.questions == [(0, WAIT), (7, WAIT), (9, WAIT), (9, WAIT), (12, WAIT)]


async def test_an_index_that_went_backwards_begins_anew() -> None:
    agent = Agent([(0, answer(70, 1)), (1, answer(3, 2)), (0, answer(3, 2))])
    assert await collect(agent, 2) == [found("10.0.0.1:1"), found("10.0.0.1:2")]
    assert [index for index, _ in agent.questions] == [0, 70, 0, 3]


@pytest.mark.parametrize("index", [None, 0, "nonsense"])
async def test_a_server_without_an_index_is_not_asked_in_a_busy_loop(index: int | str | None) -> None:
    agent = Agent([(0, answer(index, 1))] * 50)
    assert await collect(agent, 1) == [found("10.0.0.1:1")]
    assert agent.asked[49] >= 4.8


async def test_a_failure_keeps_what_is_known_and_begins_anew() -> None:
    gone = ConsulError("Consul at http://x cannot be reached.")
    agent = Agent([(0, answer(7, 1)), (0, gone), (0, gone), (0, answer(5, 1))])
    failed = Failed("consul:///svc: Consul at http://x cannot be reached.")
    assert await collect(agent, 4) == [found("10.0.0.1:1"), failed, failed, found("10.0.0.1:1")]
    assert [index for index, _ in agent.questions] == [0, 7, 0, 0, 5]


async def test_an_empty_answer_that_the_tokens_rights_made_empty_is_a_failure() -> None:
    agent = Agent([(0, answer(7, 1)), (0, answer(8, filtered=True)), (0, answer(9, 2, filtered=True))])
    known, failed, again = await collect(agent, 3)
    assert (known, again) == (found("10.0.0.1:1"), found("10.0.0.1:2"))
    assert isinstance(failed, Failed)
    assert "service:read" in failed.reason


async def test_an_answer_that_is_no_list_is_a_failure() -> None:
    agent = Agent([(0, Answer({"error": "?"}, "7")), (0, answer(8, 1))])
    failed, known = await collect(agent, 2)
    assert isinstance(failed, Failed)
    assert known == found("10.0.0.1:1")
