"""The gateway as a whole, embedded in a program, over a core that moves no bytes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from gateway import Gateway, GatewayConfig
from gateway.configuration.model import Admin, Authentication, Backend, Listener, Method
from gateway.configuration.problems import Place
from gateway.core import LogLine, read_event
from gateway.keys.fetcher import Fetch, KeyDocument
from gateway.problems import GatewayError
from gateway.process import Parts
from tests.process.fakes import (
    JWKS,
    FakeCore,
    ScriptedFetch,
    SnapshotError,
    compile_fake,
    failed,
    plain_config,
    provider,
)


class Assembly:
    """The parts of a gateway with a fake core, which `core` shows once it was opened."""

    def __init__(self, fetch: Fetch | None = None) -> None:
        self.cores: list[FakeCore] = []
        self.parts = Parts(open_core=self._open, compile_snapshot=compile_fake, fetch=fetch)

    def gateway(self, config: GatewayConfig, **options: Any) -> Gateway:
        return Gateway(config, parts=self.parts, **options)

    @property
    def core(self) -> FakeCore:
        return self.cores[-1]

    def _open(self, workers: int) -> FakeCore:
        self.cores.append(FakeCore(workers))
        return self.cores[-1]


def with_providers(*names: str) -> GatewayConfig:
    return plain_config(authentication=Authentication(providers=tuple(provider(name) for name in names)))


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  the fake core has no events of its own
            await asyncio.sleep(0.005)


async def test_it_serves_inside_the_block_and_stops_after_it() -> None:
    assembly = Assembly()
    async with assembly.gateway(plain_config()) as gateway:
        assert gateway.addresses == {"http": "127.0.0.1:4242"}
        assert assembly.core.endpoints == {"app": [("127.0.0.1:50051", 1, 0, 0)]}
        assert not assembly.core.stopped
    assert assembly.core.stopped


async def test_several_live_side_by_side_and_handlers_of_signals_stay_as_they_were() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    first, second = Assembly(), Assembly()
    async with first.gateway(plain_config()) as one, second.gateway(plain_config()) as other:
        assert one.core is not other.core
        assert before == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    assert first.core.stopped
    assert second.core.stopped


async def test_what_it_started_ends_with_the_block() -> None:
    before = asyncio.all_tasks()
    async with Assembly(ScriptedFetch([KeyDocument(JWKS)])).gateway(with_providers("acme")):
        assert asyncio.all_tasks() > before
    assert asyncio.all_tasks() == before


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (SnapshotError(["listeners[0]: no certificate", "routes: none"]), "listeners[0]: no certificate"),
        (OSError(98, "Address already in use"), "Address already in use"),
    ],
)
async def test_a_configuration_that_cannot_be_served_says_why_and_leaves_nothing(
    fault: Exception, problem: str
) -> None:
    before = asyncio.all_tasks()
    assembly = Assembly()

    def broken(workers: int) -> FakeCore:
        core = assembly._open(workers)
        core.refuse = fault
        return core

    parts = Parts(open_core=broken, compile_snapshot=compile_fake)
    with pytest.raises(GatewayError) as caught:
        async with Gateway(plain_config(), parts=parts):
            pytest.fail("it served")
    assert problem in str(caught.value)
    assert assembly.core.stopped
    assert asyncio.all_tasks() == before


async def test_what_the_core_refuses_is_said_where_it_was_written() -> None:
    assembly = Assembly()
    method = Method("api.Echo.Echo", origin=Place("service.yaml", 12))
    async with assembly.gateway(plain_config()) as gateway:
        assembly.core.refuse = SnapshotError(["methods[0]: no such method in the descriptors"])
        with pytest.raises(GatewayError, match=r"service\.yaml:12: api\.Echo\.Echo: no such method"):
            await gateway.apply(plain_config(methods=(method,)))


async def test_a_bad_target_is_a_reason_not_to_serve() -> None:
    with pytest.raises(GatewayError, match="'nowhere' is no backend target"):
        async with Assembly().gateway(plain_config(backends=(Backend("app", ("nowhere",)),))):
            pytest.fail("it served")


async def test_another_configuration_is_taken_over() -> None:
    assembly = Assembly()
    async with assembly.gateway(plain_config()) as gateway:
        await gateway.apply(plain_config(listeners=(Listener("other", "127.0.0.1:0"),)))
        assert gateway.addresses == {"other": "127.0.0.1:4242"}
        assert gateway.facts().version == "2"


async def test_what_only_a_start_can_change_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async with Assembly().gateway(plain_config()) as gateway:
        await gateway.apply(plain_config(drain_delay=1.0))
        assert caplog.records == []
        await gateway.apply(plain_config(workers=3), warnings=["quota: not honoured"])
        assert "takes effect at the next start" in caplog.text
        assert gateway.facts().warnings == ("quota: not honoured",)


async def test_a_refused_configuration_changes_nothing() -> None:
    fetch = ScriptedFetch([KeyDocument(JWKS)])
    assembly = Assembly(fetch)
    async with assembly.gateway(with_providers("acme")) as gateway:
        assembly.core.refuse = SnapshotError(["routes: none"])
        with pytest.raises(GatewayError, match="routes: none"):
            await gateway.apply(with_providers("other"))
        facts = gateway.facts()
        assert (facts.version, gateway.config) == ("1", with_providers("acme"))
        assert [report.provider for report in facts.keys] == ["acme"]
        assert list(assembly.core.keys) == ["acme"]
        assembly.core.refuse = None
        await gateway.apply(with_providers("other"))
        assert list(assembly.core.keys) == ["other"]


async def test_keys_are_there_when_it_begins_to_serve() -> None:
    assembly = Assembly(ScriptedFetch([KeyDocument(JWKS)]))
    async with assembly.gateway(with_providers("acme")) as gateway:
        assert assembly.core.keys == {"acme": JWKS}
        assert gateway.facts().keys[0].attempted


async def test_a_provider_that_does_not_answer_does_not_keep_it_from_serving() -> None:
    async with Assembly(ScriptedFetch([failed()])).gateway(with_providers("acme")) as gateway:
        assert gateway.addresses
        assert gateway.facts().keys[0].error == "no answer"


async def test_keys_that_a_request_waits_for_are_fetched() -> None:
    fetch = ScriptedFetch([KeyDocument(JWKS)])
    assembly = Assembly(fetch)
    async with assembly.gateway(with_providers("acme")):
        assembly.core.emit(event="keys-wanted", provider="acme", kid="new")
        await until(lambda: len(assembly.core.said("set_keys")) == 2)


async def test_what_the_core_says_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assembly = Assembly()
    async with assembly.gateway(plain_config()):
        assembly.core.emit(event="log", severity="ERROR", message="accepting is paused", listener="http")
        await until(lambda: "accepting is paused" in caplog.text)
        record = next(record for record in caplog.records if record.getMessage() == "accepting is paused")
        assert (record.levelname, record.__dict__["fields"]) == ("ERROR", {"listener": "http"})


def test_an_event_of_an_unknown_kind_is_a_warning() -> None:
    assert read_event('{"event": "tide"}') == LogLine("WARNING", "The core sent an event of an unknown kind: 'tide'.")


async def test_the_admin_server_belongs_to_it(unused_tcp_port: int) -> None:
    assembly = Assembly()
    async with assembly.gateway(plain_config(admin=Admin(port=unused_tcp_port)), warnings=["quota: not honoured"]):
        async with aiohttp.ClientSession(f"http://127.0.0.1:{unused_tcp_port}") as session:
            async with session.get("/readyz") as answer:
                assert answer.status == 200
            async with session.get("/status.json") as answer:
                assert (await answer.json())["warnings"] == ["quota: not honoured"]
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", unused_tcp_port)


async def test_it_is_alive_but_not_ready_while_it_waits_for_the_first_keys(unused_tcp_port: int) -> None:
    asked, release = asyncio.Event(), asyncio.Event()

    async def slowly(source: object, validator: str | None) -> KeyDocument:
        asked.set()
        await release.wait()
        return KeyDocument(JWKS)

    config = plain_config(authentication=Authentication(providers=(provider(),)), admin=Admin(port=unused_tcp_port))
    gateway = Assembly(slowly).gateway(config)
    starting = asyncio.create_task(gateway.__aenter__())
    await asked.wait()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{unused_tcp_port}") as session:
        async with session.get("/livez") as answer:
            assert answer.status == 200
        async with session.get("/readyz?verbose") as answer:
            assert answer.status == 503
            assert "[-]keys-attempted failed: the first fetch is under way: acme" in await answer.text()
        release.set()
        await starting
        async with session.get("/readyz") as answer:
            assert answer.status == 200
    await gateway.__aexit__(None, None, None)


async def test_a_drain_of_its_own_turns_it_unready_first() -> None:
    assembly = Assembly()
    async with assembly.gateway(plain_config()) as gateway:
        assembly.core.streams = 1
        draining = asyncio.create_task(gateway.drain())
        await until(lambda: assembly.core.said("close_connections"))
        assert assembly.core.calls[-2:] == [("announce_drain",), ("close_connections",)]
        assert gateway.facts().phase.value == "closing"
        with pytest.raises(GatewayError, match="takes nothing new over"):
            await gateway.apply(plain_config())
        gateway.request_drain()
        await draining
