"""From the targets that an operator wrote to the endpoints that the core has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import AF_INET, AF_INET6, AF_UNIX

import pytest

from gateway.configuration.model import Backend, LookupFamily
from gateway.discover.directory import Directory
from gateway.discover.names import HostName
from gateway.discover.resolve import ResolveError, resolve, select
from gateway.discover.schemes import check, open_source
from gateway.discover.source import Endpoint, Failed, Found, Settings
from gateway.discover.static import Static
from tests.process.fakes import FakeCore

pytestmark = pytest.mark.asyncio


class Names:
    """A resolver whose answers a test changes; None is a failure."""

    def __init__(self, **hosts: tuple[str, ...] | None) -> None:
        self.hosts = hosts
        self.asked: list[tuple[float, str]] = []

    async def __call__(self, host: str, family: LookupFamily) -> tuple[str, ...]:
        self.asked.append((round(asyncio.get_running_loop().time(), 3), host))
        answer = self.hosts.get(host)
        if answer is None:
            raise ResolveError(f"{host} cannot be resolved: no such name.")
        return answer


@pytest.mark.parametrize(
    ("target", "source"),
    [
        ("app:50051", HostName("app", 50051, Settings())),
        ("app.default.svc.cluster.local.:80", HostName("app.default.svc.cluster.local.", 80, Settings())),
        ("10.0.0.1:50051", Static((Endpoint("10.0.0.1:50051"),))),
        ("[::1]:50051", Static((Endpoint("[::1]:50051"),))),
        ("unix:///run/app.sock", Static((Endpoint("unix:///run/app.sock"),))),
    ],
)
async def test_targets_are_names_or_addresses(target: str, source: HostName | Static) -> None:
    assert open_source(target, Settings()) == source


@pytest.mark.parametrize("target", ["app", ":50051", "app:", "app:x", "app:0", "app:65536", "app:٣", "app:-1"])
async def test_a_target_of_no_known_form_says_what_to_write(target: str) -> None:
    with pytest.raises(ValueError, match="write host:port"):
        check(target)


async def test_an_unknown_scheme_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match="no scheme 'zookeeper'"):
        check("zookeeper:///app")


async def test_the_systems_resolver_is_asked_for_one_family() -> None:
    assert await resolve("localhost", "v4preferred") in [("127.0.0.1",), ("::1",)]


ADDRESSES = [(AF_INET6, "::1"), (AF_INET, "10.0.0.1"), (AF_INET6, "::2"), (AF_INET, "10.0.0.1"), (AF_UNIX, "x")]
V4, V6 = ("10.0.0.1",), ("::1", "::2")


@pytest.mark.parametrize(
    ("family", "of_both", "of_v4", "of_v6"),
    [
        ("v4preferred", V4, V4, V6),
        ("auto", V6, V4, V6),
        ("v4only", V4, V4, ()),
        ("v6only", V6, (), V6),
        ("all", V4 + V6, V4, V6),
    ],
)
async def test_a_family_says_which_addresses_count(
    family: LookupFamily, of_both: tuple[str, ...], of_v4: tuple[str, ...], of_v6: tuple[str, ...]
) -> None:
    assert select(ADDRESSES, family) == of_both
    assert select([known for known in ADDRESSES if known[0] == AF_INET], family) == of_v4
    assert select([known for known in ADDRESSES if known[0] == AF_INET6], family) == of_v6


async def test_a_name_without_an_address_of_the_family_cannot_be_resolved() -> None:
    assert await resolve("127.0.0.1", "all") == ("127.0.0.1",)
    with pytest.raises(ResolveError, match="no address of the family v6only"):
        await resolve("127.0.0.1", "v6only")


@pytest.mark.looptime
async def test_each_backend_has_a_family_of_its_own() -> None:
    asked: list[tuple[str, str]] = []

    async def answer(host: str, family: LookupFamily) -> tuple[str, ...]:
        asked.append((host, family))
        return ("10.0.0.1",)

    served = Directory(FakeCore(), answer)
    served.prepare([Backend("a", ("a:1",)), Backend("b", ("b:1",), lookup_family="v6only")])
    running = asyncio.create_task(served.run())
    await served.attempted(1.0)
    running.cancel()
    assert asked == [("a", "v4preferred"), ("b", "v6only")]


async def test_a_name_that_cannot_be_is_said() -> None:
    with pytest.raises(ResolveError, match="cannot be resolved"):
        await resolve("a" * 300, "all")


async def test_addresses_need_no_resolution_and_never_change() -> None:
    stream = open_source("10.0.0.1:1", Settings()).watch()
    assert [update async for update in stream] == [Found((Endpoint("10.0.0.1:1"),))]


@pytest.mark.looptime
async def test_a_name_is_asked_for_again_and_again() -> None:
    names = Names(a=("10.0.0.1", "::1", "10.0.0.1"))
    stream = open_source("a:1", Settings(5.0, resolve=names)).watch()
    assert await anext(stream) == Found((Endpoint("10.0.0.1:1"), Endpoint("[::1]:1")))
    names.hosts["a"] = None
    assert await anext(stream) == Failed("a cannot be resolved: no such name.")
    names.hosts["a"] = ()
    assert await anext(stream) == Found(())
    assert names.asked == [(0.0, "a"), (5.0, "a"), (10.0, "a")]


@pytest.mark.looptime
async def test_a_failure_keeps_what_was_known_of_that_name_alone() -> None:
    core, names = core_with(app="x"), Names(a=("10.0.0.1", "10.0.0.3"), b=("10.0.0.2", "10.0.0.1"))
    async with directory(core, names, Backend("app", ("a:1", "b:1", "10.0.0.7:1"))) as served:
        assert served.reports()[0].endpoints == ("10.0.0.1:1", "10.0.0.3:1", "10.0.0.2:1", "10.0.0.7:1")
        names.hosts.update(a=None, b=("10.0.0.9",))
        await asyncio.sleep(6)
        report = served.reports()[0]
        assert report.endpoints == ("10.0.0.1:1", "10.0.0.3:1", "10.0.0.9:1", "10.0.0.7:1")
        assert report.errors == ("a cannot be resolved: no such name.",)


def core_with(**backends: str) -> FakeCore:
    core = FakeCore()
    core.endpoints = {name: [(address, 1, 0, 0)] for name, address in backends.items()}
    return core


@asynccontextmanager
async def directory(core: FakeCore, names: Names, *backends: Backend) -> AsyncIterator[Directory]:
    served = Directory(core, names)
    served.prepare(backends)
    running = asyncio.create_task(served.run())
    served.commit(await served.attempted(1.0))
    try:
        yield served
    finally:
        running.cancel()
        await asyncio.wait([running])


@pytest.mark.looptime
async def test_the_core_hears_of_changes_and_of_nothing_else() -> None:
    core, names = core_with(app="10.0.0.1:1"), Names(app=("10.0.0.1", "10.0.0.2"))
    async with directory(core, names, Backend("app", ("app:1",))):
        await asyncio.sleep(9)
        names.hosts["app"] = ("10.0.0.2", "10.0.0.1")
        await asyncio.sleep(5)
        assert core.calls == []
        names.hosts["app"] = ("10.0.0.2",)
        await asyncio.sleep(5)
        assert core.calls == [("change_endpoints", "app", "-10.0.0.1:1")]
        names.hosts["app"] = ("10.0.0.2", "10.0.0.3")
        await asyncio.sleep(5)
        assert core.calls[1:] == [("change_endpoints", "app", "+10.0.0.3:1")]


@pytest.mark.looptime
async def test_failures_are_counted_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    core, names = core_with(app="10.0.0.1:1"), Names(app=("10.0.0.1",))
    async with directory(core, names, Backend("app", ("app:1",))) as served:
        names.hosts["app"] = None
        await asyncio.sleep(21)
        assert core.calls == []
        report = served.reports()[0]
        assert (report.endpoints, report.failures) == (("10.0.0.1:1",), 4)
        assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.looptime
async def test_a_name_server_that_hangs_holds_up_neither_start_nor_other_backends() -> None:
    core = core_with(slow="x", app="x")

    async def hangs(host: str, family: LookupFamily) -> tuple[str, ...]:
        if host == "slow":
            await asyncio.sleep(30)
        return ("10.0.0.1",)

    served = Directory(core, hangs)
    served.prepare([Backend("slow", ("slow:1",)), Backend("app", ("app:1",))])
    running = asyncio.create_task(served.run())
    known = await served.attempted(1.0)
    assert asyncio.get_running_loop().time() == pytest.approx(1.0)
    assert known == {"slow": (), "app": (("10.0.0.1:1", 1, 0, 0),)}
    served.commit(known)
    await asyncio.sleep(30)
    assert core.said("change_endpoints") == [("slow", "+10.0.0.1:1")]
    running.cancel()


@pytest.mark.looptime
async def test_a_reload_asks_only_for_what_is_new() -> None:
    core, names = core_with(a="x", b="x"), Names(a=("10.0.0.1",), b=("10.0.0.2",))
    a, b = Backend("a", ("a:1",)), Backend("b", ("b:1",))
    async with directory(core, names, a) as served:
        await asyncio.sleep(1)
        served.prepare([a, b])
        served.commit(await served.attempted(1.0))
        assert names.asked == [(0.0, "a"), (1.0, "b")]
        served.prepare([b])
        served.abandon()
        assert [report.backend for report in served.reports()] == ["a", "b"]


@pytest.mark.looptime
async def test_new_targets_of_a_backend_are_repeated_after_the_swap() -> None:
    """The former watcher may have overwritten them between the swap and the commit."""
    core, names = core_with(app="10.0.0.1:1"), Names(old=("10.0.0.1",), new=("10.0.0.2",))
    async with directory(core, names, Backend("app", ("old:1",))) as served:
        served.prepare([Backend("app", ("new:1",))])
        served.commit(await served.attempted(1.0))
        assert core.endpoints == {"app": [("10.0.0.2:1", 1, 0, 0)]}


async def test_a_bad_target_is_refused_before_anything_begins() -> None:
    with pytest.raises(ValueError, match="no backend target"):
        Directory(FakeCore(), Names()).prepare([Backend("app", ("nowhere",))])
