"""`dns:` against a real name server on loopback, over UDP and TCP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import dns.rrset
import pytest

from gateway.configuration.model import LookupFamily
from gateway.discover.dns.questions import NameServers, configure, open_questions
from gateway.discover.dns.records import QuestionFailed
from gateway.discover.dns.source import DnsName
from gateway.discover.dns.target import DnsTarget, parse
from gateway.discover.resolve import ResolveError
from gateway.discover.source import Endpoint, Failed, Found, Settings, Update
from tests.support.name_server import NameServer

LONG_SECONDS = 60.0
PLAIN = "options timeout:1\n"


@asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    async with asyncio.timeout(LONG_SECONDS), NameServer() as server:
        yield server


def source(target: str, directory: Path, resolv_conf: str = PLAIN, family: LookupFamily = "v4preferred") -> DnsName:
    path = directory / "resolv.conf"
    path.write_text(resolv_conf)

    async def ask(target: DnsTarget, settings: Settings) -> NameServers:
        return await open_questions(target.servers, settings, path)

    return DnsName(parse(target), Settings(0.2, family), ask)


async def first(target: str, directory: Path, resolv_conf: str = PLAIN, family: LookupFamily = "v4preferred") -> Update:
    async with aclosing(source(target, directory, resolv_conf, family).watch()) as stream:  # type: ignore[type-var]
        return await anext(stream)


def addresses(update: Update) -> tuple[str, ...]:
    assert isinstance(update, Found), update
    return tuple(endpoint.address for endpoint in update.endpoints)


async def test_addresses_of_both_families(tmp_path: Path) -> None:
    async with name_server() as server:
        server.put("app.test", "A", "10.0.0.2", "10.0.0.1")
        server.put("app.test", "AAAA", "fd00::1")
        target = f"dns://{server.address}/app.test.:50051"
        assert addresses(await first(target, tmp_path)) == ("10.0.0.1:50051", "10.0.0.2:50051")
        assert addresses(await first(target, tmp_path, family="auto")) == ("[fd00::1]:50051",)
        assert len(addresses(await first(target, tmp_path, family="all"))) == 3


async def test_a_name_with_only_aaaa_records(tmp_path: Path) -> None:
    async with name_server() as server:
        server.put("app.test", "AAAA", "fd00::1")
        assert addresses(await first(f"dns://{server.address}/app.test.:1", tmp_path)) == ("[fd00::1]:1",)


async def test_an_alias_is_followed(tmp_path: Path) -> None:
    async with name_server() as server:
        server.put("app.test", "CNAME", "real.test.")
        server.put("real.test", "A", "10.0.0.1")
        assert addresses(await first(f"dns://{server.address}/app.test.:1", tmp_path)) == ("10.0.0.1:1",)


async def test_an_alias_of_itself_is_a_failure(tmp_path: Path) -> None:
    async with name_server() as server:
        server.put("app.test", "CNAME", "app.test.")
        assert isinstance(await first(f"dns://{server.address}/app.test.:1", tmp_path), Failed)


async def test_a_hundred_addresses_come_over_tcp(tmp_path: Path) -> None:
    async with name_server() as server:
        expected = {f"10.0.1.{number}" for number in range(100)}
        server.put("app.test", "A", *expected)
        found = addresses(await first(f"dns://{server.address}/app.test.:1", tmp_path))
        assert set(found) == {f"{address}:1" for address in expected}
        assert server.asked["app.test", "A", "udp"] == 1
        assert server.asked["app.test", "A", "tcp"] == 1


async def test_srv_records_with_and_without_addresses_beside_them(tmp_path: Path) -> None:
    async with name_server() as server:
        beside = dns.rrset.from_text("Pod-1.app.test.", 1, "IN", "A", "10.0.0.1")
        server.put(
            "_grpc._tcp.app.test",
            "SRV",
            "0 60 50051 pod-1.app.test.",
            "1 0 50052 pod-2.app.test.",
            "0 1 0 pod-1.app.test.",
            beside=[beside],
        )
        server.put("pod-2.app.test", "A", "10.0.0.2")
        assert await first(f"dns://{server.address}/app.test.", tmp_path) == Found(
            (Endpoint("10.0.0.1:50051", 60), Endpoint("10.0.0.2:50052", 1, priority=1)),
            "The SRV record of pod-1.app.test. says port 0 and is left out.",
        )
        assert server.count("pod-1.app.test") == 0
        assert server.count("pod-2.app.test") == 1


async def test_a_service_that_is_decidedly_not_available_is_empty(tmp_path: Path) -> None:
    async with name_server() as server:
        server.put("_grpc._tcp.app.test", "SRV", "0 0 50051 .")
        assert addresses(await first(f"dns://{server.address}/app.test.", tmp_path)) == ()
        assert server.asked.total() == 1


async def test_no_such_name_and_no_records_are_empty(tmp_path: Path) -> None:
    async with name_server() as server:
        target = f"dns://{server.address}/app.test.:1"
        assert await first(target, tmp_path) == Found((), "app.test. does not exist.")
        server.put("app.test", "A")
        assert await first(target, tmp_path) == Found((), "app.test. has no addresses.")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("SERVFAIL", "answered SERVFAIL"),
        ("REFUSED", "answered REFUSED"),
        ("NOTIMP", "answered NOTIMP"),
        ("silence", "did not answer"),
        ("garbage", "cannot be resolved"),
        ("referral", "name one that recurses"),
    ],
)
async def test_a_server_that_does_not_know_is_a_failure(tmp_path: Path, fault: str, reason: str) -> None:
    async with name_server() as server:
        server.put("app.test", "A", "10.0.0.1")
        server.fault = fault
        update = await first(f"dns://{server.address}/app.test.:1", tmp_path)
        assert isinstance(update, Failed)
        assert reason in update.reason
        assert "app.test." in update.reason
        if fault in ("SERVFAIL", "REFUSED", "silence"):
            assert server.address in update.reason


async def test_a_server_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    async with name_server() as server:
        target = f"dns://{server.address}/app.test.:1"
    update = await first(target, tmp_path)
    assert isinstance(update, Failed)


async def test_the_next_server_is_asked_where_one_does_not_know(tmp_path: Path) -> None:
    async with name_server() as broken, name_server() as server:
        broken.fault = "REFUSED"
        server.put("app.test", "A", "10.0.0.1")
        target = f"dns://{broken.address},{server.address}/app.test.:1"
        assert addresses(await first(target, tmp_path)) == ("10.0.0.1:1",)
        assert broken.count("app.test") == 1


KUBERNETES = PLAIN + "search ns.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"


async def test_search_domains_are_tried_as_kubernetes_sets_them(tmp_path: Path) -> None:
    async with name_server() as server:
        server.put("app.ns.svc.cluster.local", "A", "10.0.0.1")
        server.put("app.other.svc.cluster.local", "A", "10.0.0.2")
        server.put("app.example.com", "A", "10.0.0.3")
        for name, address in (("app", "10.0.0.1"), ("app.other", "10.0.0.2"), ("app.example.com", "10.0.0.3")):
            found = addresses(await first(f"dns://{server.address}/{name}:1", tmp_path, KUBERNETES))
            assert found == (f"{address}:1",), name
        assert server.count("app") == 0
        assert server.count("app.other.ns.svc.cluster.local") == 1
        assert server.count("app.example.com.ns.svc.cluster.local") == 1
        await first(f"dns://{server.address}/app.example.com.:1", tmp_path, KUBERNETES)
        assert server.count("app.example.com.ns.svc.cluster.local") == 1


async def test_a_name_with_enough_dots_is_first_tried_as_it_is(tmp_path: Path) -> None:
    async with name_server() as server:
        server.put("app.other", "A", "10.0.0.1")
        conf = PLAIN + "search cluster.local\noptions ndots:1\n"
        assert addresses(await first(f"dns://{server.address}/app.other:1", tmp_path, conf)) == ("10.0.0.1:1",)
        assert server.count("app.other.cluster.local") == 0


async def test_services_are_searched_for_too(tmp_path: Path) -> None:
    async with name_server() as server:
        server.put("_grpc._tcp.app.ns.svc.cluster.local", "SRV", "0 100 50051 x.app.ns.svc.cluster.local.")
        server.put("x.app.ns.svc.cluster.local", "A", "10.0.0.1")
        found = await first(f"dns://{server.address}/app", tmp_path, KUBERNETES)
        assert addresses(found) == ("10.0.0.1:50051",)


async def test_the_name_servers_of_resolv_conf_are_asked(tmp_path: Path) -> None:
    """On port 53, where nobody listens at this address: the failure names it."""
    update = await first("dns:///app.test.:1", tmp_path, PLAIN + "nameserver 127.41.52.63\n")
    assert isinstance(update, Failed)
    assert "127.41.52.63:53" in update.reason


@pytest.mark.parametrize("text", ["", "# nothing\n", "nameserver one.example\n", "search a..b\n", "nameserver\n"])
async def test_a_file_that_names_no_server_is_a_failure_that_says_what_to_write(tmp_path: Path, text: str) -> None:
    update = await first("dns:///app.test.:1", tmp_path, text)
    assert isinstance(update, Failed)
    assert "resolv.conf names no name server" in update.reason
    assert "dns://10.0.0.53/" in update.reason


def test_there_may_be_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(QuestionFailed, match="names no name server"):
        configure((), tmp_path / "absent")
    assert len(configure([("127.0.0.1", 53)], tmp_path / "absent").nameservers) == 1


async def test_a_name_server_may_have_a_name() -> None:
    async with name_server() as server:
        server.put("app.test", "A", "10.0.0.1")
        address, _, port = server.address.rpartition(":")

        async def known(host: str, family: LookupFamily) -> tuple[str, ...]:
            if host != "ns.test":
                raise ResolveError(f"{host} cannot be resolved: no such name.")
            return (address,)

        asked = await open_questions([("ns.test", int(port))], Settings(resolve=known))
        assert (await asked.addresses("app.test.", "A")).found == ("10.0.0.1",)
        with pytest.raises(QuestionFailed, match=r"other\.test cannot be resolved"):
            await open_questions([("other.test", 53)], Settings(resolve=known))


async def test_changes_are_followed_and_failures_are_passed_over(tmp_path: Path) -> None:
    async with name_server() as server:
        server.put("app.test", "A", "10.0.0.1")
        target = f"dns://{server.address}/app.test.:1?interval=100ms"
        async with aclosing(source(target, tmp_path).watch()) as stream:  # type: ignore[type-var]
            assert addresses(await anext(stream)) == ("10.0.0.1:1",)
            server.put("app.test", "A", "10.0.0.2")
            assert addresses(await anext(stream)) == ("10.0.0.2:1",)
            server.fault = "SERVFAIL"
            assert isinstance(await anext(stream), Failed)
            server.fault = ""
            server.remove("app.test")
            assert addresses(await anext(stream)) == ()
