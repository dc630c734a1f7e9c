"""When a follower asks again: virtual time, and an interface that fails by a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest

from gateway.discover.back_off import BackOff
from gateway.discover.kubernetes.api import Api, ApiError, Collection, Event, Expired, Forbidden, Listed, Unusable
from gateway.discover.kubernetes.follow import Follower, Kind
from gateway.discover.kubernetes.source import KubernetesSource
from gateway.discover.kubernetes.target import Target
from gateway.discover.source import Failed, Found
from tests.kubernetes.objects import endpoint_slice

pytestmark = pytest.mark.looptime

SLICES = Collection("discovery.k8s.io", "endpointslices", "shop", ("labelSelector", "a=b"))
Step = float | ApiError | Sequence[Event]
"""Of a watch: seconds of silence, an error, or events."""


class ScriptedApi:
    """Lists are always answered. Each watch does what is next in the script, the last entry for ever."""

    def __init__(self, *watches: Sequence[Step] | ApiError) -> None:
        self._watches = list(watches)
        self.asked: list[tuple[float, str]] = []
        self.closed = False
        self.listing: ApiError | None = None
        self.items: tuple[dict[str, object], ...] = ()

    async def list(self, collection: Collection) -> Listed:
        self._note("list")
        if self.listing is not None:
            raise self.listing
        return Listed(self.items, "7")

    @asynccontextmanager
    async def watch(self, collection: Collection, version: str) -> AsyncIterator[AsyncIterator[Event]]:
        self._note(version)
        steps = self._watches[0] if len(self._watches) == 1 else self._watches.pop(0)
        if isinstance(steps, ApiError):
            raise steps
        yield _stream(steps)

    async def aclose(self) -> None:
        self.closed = True

    def _note(self, what: str) -> None:
        self.asked.append((round(asyncio.get_running_loop().time(), 2), what))


async def _stream(steps: Sequence[Step]) -> AsyncIterator[Event]:
    for step in steps:
        if isinstance(step, ApiError):
            raise step
        if isinstance(step, float):
            await asyncio.sleep(step)
        else:
            for event in step:
                yield event


_: Callable[..., Api] = ScriptedApi


def bookmark(version: str) -> Event:
    return Event("BOOKMARK", {"metadata": {"resourceVersion": version}})


async def run(api: ScriptedApi, seconds: float, chance: float = 0.5) -> Follower[str]:
    follower = Follower(api, [Kind(SLICES, lambda _: "")], lambda: None, BackOff(chance=lambda: chance))
    task = asyncio.create_task(follower.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.wait([task])
    assert api.closed
    return follower


async def test_failures_are_answered_with_growing_patience() -> None:
    api = ScriptedApi(ApiError("away"))
    follower = await run(api, 60)
    times = [time for time, _ in api.asked[1:]]
    assert times == pytest.approx([0, 1, 2.6, 5.16, 9.26, 15.81, 26.3, 43.08], abs=0.01)
    assert (follower.view.failure, follower.view.failures) == ("away", 8)


@pytest.mark.parametrize(("chance", "second"), [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)])
async def test_patience_differs_by_a_fifth(chance: float, second: float) -> None:
    api = ScriptedApi(ApiError("away"))
    await run(api, 1.5, chance)
    assert api.asked[2][0] == pytest.approx(second)


async def test_patience_has_an_end() -> None:
    api = ScriptedApi(ApiError("away"))
    await run(api, 3600)
    gaps = [later - sooner for (sooner, _), (later, _) in zip(api.asked, api.asked[1:], strict=False)]
    assert max(gaps) == pytest.approx(30.0, abs=0.02)


async def test_a_server_that_asks_for_peace_gets_it() -> None:
    api = ScriptedApi(ApiError("busy", retry_after=20.0))
    await run(api, 30)
    assert [time for time, _ in api.asked] == [0, 0, 20]


async def test_a_watch_that_lived_is_followed_by_the_next_at_once() -> None:
    api = ScriptedApi([[bookmark("8")], 300.0, [bookmark("9")]])
    await run(api, 1000)
    assert api.asked == [(0, "list"), (0, "7"), (300, "9"), (600, "9"), (900, "9")]


async def test_watches_that_end_at_once_do_not_spin() -> None:
    api = ScriptedApi([[bookmark("8")]])
    await run(api, 600)
    assert len(api.asked) < 30


async def test_what_a_server_cannot_tell_is_listed() -> None:
    """A version that it answers with an error, or an event that cannot be read, would stand in the way for ever."""
    api = ScriptedApi(Unusable("no such version"), [2.0, Unusable("another form")], [100.0])
    follower = await run(api, 10)
    assert api.asked == [(0, "list"), (0, "7"), (1, "list"), (1, "7"), (4.6, "list"), (4.6, "7")]
    assert (follower.view.failure, follower.view.failures) == ("", 2)


async def test_versions_that_are_always_too_old_do_not_spin() -> None:
    api = ScriptedApi([Expired("gone")])
    follower = await run(api, 600)
    assert 20 < len(api.asked) < 60
    assert follower.view.failures == 0


async def test_patience_is_new_after_a_watch_that_lived() -> None:
    api = ScriptedApi(ApiError("away"), ApiError("away"), [100.0], ApiError("away"), [100.0])
    await run(api, 150)
    assert api.asked == [(0, "list"), (0, "7"), (1, "7"), (2.6, "7"), (102.6, "7"), (103.6, "7")]


async def test_a_permission_that_is_lost_lists_again_when_it_is_back() -> None:
    api = ScriptedApi(Forbidden("no"), [100.0])
    await run(api, 10)
    assert [what for _, what in api.asked] == ["list", "7", "list", "7"]


def source(api: ScriptedApi) -> KubernetesSource:
    return KubernetesSource(Target.parse("k8s:///app"), "v4preferred", lambda: api, lambda: BackOff(chance=lambda: 0.5))


async def test_each_failure_is_said_and_then_that_it_is_over() -> None:
    api = ScriptedApi(ApiError("away."), ApiError("away."), [100.0])
    api.items = (endpoint_slice("a", "10.0.0.1"),)
    updates = source(api).watch()
    found = await anext(updates)
    assert isinstance(found, Found)
    assert await anext(updates) == Failed("k8s:///app: away.")
    assert await anext(updates) == Failed("k8s:///app: away.")
    assert await anext(updates) == found
    assert asyncio.get_running_loop().time() == pytest.approx(2.6)
    await updates.aclose()  # type: ignore[attr-defined]
    assert api.closed


async def test_many_changes_come_together() -> None:
    changes = [Event("ADDED", endpoint_slice(f"s{number}", f"10.0.{number}.1")) for number in range(200)]
    spread: list[Step] = [step for change in changes for step in ([change], 0.001)]
    api = ScriptedApi([*spread, 100.0])
    updates = source(api).watch()
    said = 0
    async for update in updates:
        said += 1
        if isinstance(update, Found) and len(update.endpoints) == 200:
            break
    assert said < 10
    await updates.aclose()  # type: ignore[attr-defined]


async def test_a_fault_of_our_own_is_not_hidden() -> None:
    api = ScriptedApi(ApiError("away"))
    api.items = (None,)  # type: ignore[assignment]
    with pytest.raises(AttributeError):
        await anext(source(api).watch())
