"""Keys over hours and days, in virtual time: what reaches the core, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from gateway.configuration.model import Authentication, Provider
from gateway.keys.fetcher import KeyDocument
from gateway.keys.refresh import KeyRefresher
from tests.process.fakes import JWKS, FakeCore, ScriptedFetch, failed, provider, serving

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

Good = KeyDocument(JWKS)


def never() -> float:
    return 0.0


@asynccontextmanager
async def refreshing(
    core: FakeCore, fetch: ScriptedFetch, *providers: Provider, **options: float
) -> AsyncIterator[KeyRefresher]:
    """A refresher that serves `providers`; options are those of `Authentication`."""
    refresher = KeyRefresher(core, fetch, never)
    refresher.prepare(authentication(*providers, **options))
    running = asyncio.create_task(refresher.run())
    await refresher.attempted()
    refresher.commit()
    try:
        yield refresher
    finally:
        running.cancel()
        await asyncio.wait([running])


def authentication(*providers: Provider, **options: float) -> Authentication:
    make: Callable[..., Authentication] = Authentication
    return make(providers=providers, **options)


async def test_keys_are_handed_over_and_refreshed_every_five_minutes() -> None:
    core, fetch = serving("acme"), ScriptedFetch([Good])
    async with refreshing(core, fetch, provider()):
        assert core.said("set_keys") == [("acme", JWKS)]
        await asyncio.sleep(901)
    assert fetch.times == [0.0, 300.0, 600.0, 900.0]


async def test_a_start_does_not_wait_for_success() -> None:
    core, fetch = serving("acme"), ScriptedFetch([failed(), Good])
    async with refreshing(core, fetch, provider()) as refresher:
        assert core.keys == {}
        assert refresher.reports()[0].attempted
        await asyncio.sleep(1)
        assert core.keys == {"acme": JWKS}


async def test_the_providers_are_fetched_side_by_side() -> None:
    core = serving("acme", "other")

    async def slowly(source: object, validator: str | None) -> KeyDocument:
        await asyncio.sleep(3)
        return Good

    refresher = KeyRefresher(core, slowly, never)
    refresher.prepare(authentication(provider(), provider("other")))
    running = asyncio.create_task(refresher.run())
    await refresher.attempted()
    assert asyncio.get_running_loop().time() == pytest.approx(3.0)
    running.cancel()


async def test_requests_that_wait_learn_of_failure_after_the_retries() -> None:
    core, fetch = serving("acme"), ScriptedFetch([failed()])
    async with refreshing(core, fetch, provider(), jwks_fetch_retries=3):
        await asyncio.sleep(1.3)
        assert core.said("fail_keys") == []
        await asyncio.sleep(0.2)
        assert core.said("fail_keys") == [("acme",)]


async def test_stale_keys_serve_for_a_day_and_are_dropped_then() -> None:
    core, fetch = serving("acme"), ScriptedFetch([Good, failed()])
    async with refreshing(core, fetch, provider()) as refresher:
        await asyncio.sleep(86_399)
        assert core.keys == {"acme": JWKS}
        assert refresher.reports()[0].age == pytest.approx(86_399)
        await asyncio.sleep(2)
        assert core.keys == {}
        assert refresher.reports()[0].age is None
        fetch.outcomes = [Good]
        await asyncio.sleep(33)
        assert core.keys == {"acme": JWKS}


async def test_an_unknown_key_is_sought_at_once() -> None:
    core, fetch = serving("acme"), ScriptedFetch([Good])
    async with refreshing(core, fetch, provider()) as refresher:
        await asyncio.sleep(100)
        refresher.want("acme")
        await asyncio.sleep(0.1)
        assert fetch.times == [0.0, 100.0]


async def test_invented_keys_cause_one_fetch_in_ten_seconds() -> None:
    core, fetch = serving("acme"), ScriptedFetch([Good])
    async with refreshing(core, fetch, provider()) as refresher:
        await asyncio.sleep(100)
        for _ in range(200):
            refresher.want("acme")
            await asyncio.sleep(0.1)
    assert fetch.times == [0.0, 100.0, 110.0, 120.0]
    assert ("acme",) in core.said("fail_keys")


async def test_an_answer_that_nothing_changed_decides_those_who_wait() -> None:
    core = serving("acme")
    fetch = ScriptedFetch([KeyDocument(JWKS, validator='"1"'), KeyDocument(None, validator='"1"')])
    arrived = asyncio.Event()

    async def slowly(source: object, validator: str | None) -> KeyDocument:
        if fetch.times:
            arrived.set()
            await asyncio.sleep(2)
        return await fetch(source, validator)

    refresher = KeyRefresher(core, slowly, never)
    refresher.prepare(authentication(provider()))
    running = asyncio.create_task(refresher.run())
    await refresher.attempted()
    refresher.commit()
    await arrived.wait()
    refresher.want("acme")
    await asyncio.sleep(3)
    running.cancel()
    assert core.said("fail_keys") == [("acme",)]
    assert fetch.validators == [None, '"1"']


async def test_a_document_that_is_none_keeps_the_keys_at_hand() -> None:
    core, fetch = serving("acme"), ScriptedFetch([Good, KeyDocument("[]"), Good])
    async with refreshing(core, fetch, provider()) as refresher:
        await asyncio.sleep(300.1)
        report = refresher.reports()[0]
        assert core.keys == {"acme": JWKS}
        assert report.failures == 1
        assert "acme" in (report.error or "")
        await asyncio.sleep(1)
        assert refresher.reports()[0].error is None


async def test_a_fetch_that_breaks_unexpectedly_does_not_end_the_others() -> None:
    core = serving("acme", "other")

    async def breaks(source: object, validator: str | None) -> KeyDocument:
        if getattr(source, "provider", "") == "acme":
            raise RuntimeError("a fault of ours")
        return Good

    refresher = KeyRefresher(core, breaks, never)
    refresher.prepare(authentication(provider(), provider("other")))
    running = asyncio.create_task(refresher.run())
    await refresher.attempted()
    refresher.commit()
    await asyncio.sleep(1000)
    assert not running.done()
    assert len(core.said("set_keys")) == 4
    running.cancel()


async def test_a_reload_leaves_the_keys_of_other_providers_alone() -> None:
    core, fetch = serving("acme", "other"), ScriptedFetch([Good])
    async with refreshing(core, fetch, provider()) as refresher:
        await asyncio.sleep(10)
        refresher.prepare(authentication(provider(), provider("other")))
        await refresher.attempted()
        assert core.said("set_keys") == [("acme", JWKS)]
        refresher.commit()
        assert core.said("set_keys") == [("acme", JWKS), ("other", JWKS)]
    assert fetch.times == [0.0, 10.0]


async def test_keys_of_a_new_issuer_reach_the_core_only_after_the_swap() -> None:
    core, fetch = serving("acme"), ScriptedFetch([Good])
    async with refreshing(core, fetch, provider()) as refresher:
        refresher.prepare(authentication(provider(issuer="https://someone.else.example")))
        await refresher.attempted()
        await asyncio.sleep(100)
        assert len(core.said("set_keys")) == 1
        refresher.abandon()
        await asyncio.sleep(1000)
        assert [report.provider for report in refresher.reports()] == ["acme"]
        assert len(core.said("set_keys")) == 4


async def test_keys_that_outlive_a_change_of_their_url_still_grow_stale() -> None:
    core, fetch = serving("acme"), ScriptedFetch([Good, failed()])
    async with refreshing(core, fetch, provider()) as refresher:
        refresher.prepare(authentication(provider(jwks="https://moved.example/keys")))
        await refresher.attempted()
        refresher.commit()
        await asyncio.sleep(86_390)
        assert core.keys == {"acme": JWKS}
        await asyncio.sleep(20)
        assert core.keys == {}


async def test_a_provider_that_is_gone_is_not_fetched_any_more() -> None:
    core, fetch = serving("acme"), ScriptedFetch([Good])
    async with refreshing(core, fetch, provider()) as refresher:
        refresher.prepare(authentication())
        refresher.commit()
        await asyncio.sleep(10_000)
    assert fetch.times == [0.0]
