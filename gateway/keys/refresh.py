"""Keeps the keys of every provider fresh: one watcher for each, which does what `schedule` says.

Keys reach the core only between `commit` and the watcher's end, because the core knows a provider only as long as the
snapshot that serves names it. So a reload goes: `prepare` (new watchers fetch, old ones go on), the core swaps,
`commit` (what the new ones fetched is handed over, those of providers that are gone end), or `abandon` when the core
refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from gateway.configuration.model import Authentication
from gateway.core import Core
from gateway.keys import schedule
from gateway.keys.fetcher import FILE_LIFETIME, Fetch, FetchError
from gateway.keys.location import KeySource
from gateway.lifecycle.roster import Roster

log = logging.getLogger("tidegate.keys")


@dataclass(frozen=True, slots=True)
class KeyReport:
    """A provider's keys as they are now. `age` is in seconds since they were last known to be the issuer's."""

    provider: str
    attempted: bool
    keys: int
    age: float | None
    fetches: int
    failures: int
    error: str | None


@dataclass(frozen=True, slots=True)
class _Watch:
    source: KeySource
    policy: schedule.Policy


class KeyRefresher:
    """Owns the watchers. All but `run` and `attempted` return at once."""

    def __init__(self, core: Core, fetch: Fetch, chance: Callable[[], float] = random.random) -> None:
        self._roster: Roster[_Watch, _Watcher] = Roster(lambda watch: _Watcher(watch, core, fetch, chance))
        self._committed: tuple[_Watch, ...] = ()
        self._prepared: tuple[_Watch, ...] = ()

    async def run(self) -> None:
        """Runs the watchers until it is cancelled."""
        await self._roster.run()

    def prepare(self, authentication: Authentication) -> None:
        """Begins to fetch for providers that are new, beside those that are served."""
        self._prepared = _watches(authentication)
        self._roster.keep((*self._committed, *self._prepared))

    async def attempted(self) -> None:
        """Returns when every prepared provider was fetched for once, whatever came of it."""
        for watch in self._prepared:
            await self._roster[watch].attempted.wait()

    def commit(self) -> None:
        """The core now serves what was prepared: hands it the keys, and forgets providers that are gone."""
        ages = {
            (watch.source.provider, watch.source.issuer): self._roster[watch].confirmed for watch in self._committed
        }
        self._committed = self._prepared
        self._roster.keep(self._committed)
        for watch in self._committed:
            self._roster[watch].publish(kept_since=ages.get((watch.source.provider, watch.source.issuer)))

    def abandon(self) -> None:
        """The core refused what was prepared."""
        self._prepared = self._committed
        self._roster.keep(self._committed)

    def want(self, provider: str) -> None:
        """A request waits for a key of `provider` that the core does not have."""
        for watch in self._committed:
            if watch.source.provider == provider:
                self._roster[watch].want()

    def reports(self) -> tuple[KeyReport, ...]:
        """The state of every provider that is served or about to be."""
        return tuple(self._roster[watch].report() for watch in self._roster)


def _watches(authentication: Authentication) -> tuple[_Watch, ...]:
    policy = schedule.Policy(
        cache_duration=authentication.jwks_cache_duration,
        retries=authentication.jwks_fetch_retries,
        max_stale=authentication.jwks_max_stale,
    )
    sources = [KeySource.of(provider) for provider in authentication.providers]
    of_files = replace(policy, longest_back_off=FILE_LIFETIME)
    return tuple(_Watch(source, policy if source.file is None else of_files) for source in sources)


class _Watcher:
    """One provider: the effects around `schedule`."""

    def __init__(self, watch: _Watch, core: Core, fetch: Fetch, chance: Callable[[], float]) -> None:
        self._provider = watch.source.provider
        self._source = watch.source
        self._policy = watch.policy
        self._core = core
        self._fetch = fetch
        self._chance = chance
        self._loop = asyncio.get_running_loop()
        self._state = schedule.start(self._loop.time())
        self._woken = asyncio.Event()
        self._fetching = False
        self._asked = False
        self._published = False
        self._pending: str | None = None
        self._validator: str | None = None
        self._keys = 0
        self._fetches = 0
        self._failures = 0
        self._error: str | None = None
        self.attempted = asyncio.Event()

    async def run(self) -> None:
        while True:
            now = await self._sleep()
            stale_at = schedule.stale_at(self._policy, self._state)
            if stale_at is not None and stale_at <= now:
                self._drop()
            if self._state.due <= now:
                await self._refresh()

    @property
    def confirmed(self) -> float | None:
        return self._state.confirmed

    def publish(self, kept_since: float | None) -> None:
        """`kept_since` is when keys were confirmed that the core kept from a predecessor of the same issuer."""
        if self._published:
            return
        self._published = True
        if self._pending is None:
            self._state = replace(self._state, confirmed=kept_since)
            return
        try:
            self._hand_over(self._pending)
        except FetchError as error:
            self._validator = None
            self._failed(str(error))

    def want(self) -> None:
        self._asked = True
        if self._fetching:
            return
        self._state, decide_now = schedule.want(self._state, self._loop.time())
        self._validator = None
        self._woken.set()
        if decide_now:
            self._decide_waiting()

    def report(self) -> KeyReport:
        confirmed = self._state.confirmed
        age = None if confirmed is None else self._loop.time() - confirmed
        attempted = self.attempted.is_set()
        return KeyReport(self._provider, attempted, self._keys, age, self._fetches, self._failures, self._error)

    async def _sleep(self) -> float:
        """Returns the time at which there is something to do, or to look at anew."""
        stale_at = schedule.stale_at(self._policy, self._state)
        wake_at = self._state.due if stale_at is None else min(self._state.due, stale_at)
        self._woken.clear()
        try:
            async with asyncio.timeout_at(wake_at):
                await self._woken.wait()
        except TimeoutError:
            return max(wake_at, self._loop.time())
        return self._loop.time()

    async def _refresh(self) -> None:
        self._fetching = True
        self._fetches += 1
        try:
            document = await self._fetch(self._source, self._validator)
            if document.text is not None:
                self._hand_over(document.text)
            elif self._asked:
                self._decide_waiting()
            self._asked = False
            self._validator = document.validator
            self._succeeded(document.lifetime)
        except FetchError as error:
            self._failed(str(error))
        finally:
            self._fetching = False
            self.attempted.set()

    def _hand_over(self, text: str) -> None:
        if not self._published:
            self._pending = text
            return
        self._pending = None
        try:
            self._keys = self._core.set_keys(self._provider, text)
        except KeyError:
            return
        except ValueError as error:
            raise FetchError(f"The keys of provider {self._provider} are of no known form: {error}") from None
        if self._keys == 0:
            log.warning("Provider %s publishes no key that can be used.", self._provider)

    def _succeeded(self, lifetime: float | None) -> None:
        if self._error is not None:
            log.info("The keys of provider %s were fetched again.", self._provider)
        self._error = None
        self._state = schedule.succeed(self._policy, self._state, self._loop.time(), lifetime, self._chance())

    def _failed(self, reason: str) -> None:
        self._failures += 1
        if self._error != reason:
            log.warning("The keys of provider %s cannot be fetched: %s", self._provider, reason)
        self._error = reason
        self._state, decide_now = schedule.fail(self._policy, self._state, self._loop.time(), self._chance())
        if decide_now:
            self._decide_waiting()

    def _decide_waiting(self) -> None:
        if self._published:
            with contextlib.suppress(KeyError):
                self._core.fail_keys(self._provider)

    def _drop(self) -> None:
        log.error("The keys of provider %s are too old to be trusted and were dropped.", self._provider)
        self._state = schedule.drop(self._state)
        self._validator = self._pending = None
        self._keys = 0
        if self._published:
            with contextlib.suppress(KeyError):
                self._core.drop_keys(self._provider)
