"""Follows a prefix in etcd: lists it, watches from the next revision on, and lists it anew whenever the watch ends.

A listing needs no history, so compaction, a partition, a restart and even another data directory cost one more listing.
A watch is silent while nothing changes, and as silent when its packets vanish: after `QUIET` seconds without a change a
linearizable question shows whether etcd still answers and whether a change was missed. A key that was written since has
a later revision than all that is known, and one that was deleted makes another count.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass
from typing import Protocol

from gateway.discover.back_off import BackOff
from gateway.discover.etcd.client import Changes, EtcdError, Listing, WatchEndedError
from gateway.discover.etcd.layout import prefix_range, read
from gateway.discover.registry.entries import Read, host_names, merge
from gateway.discover.registry.hosts import Hosts
from gateway.discover.registry.http import FIRST_PAUSE
from gateway.discover.source import Failed, Found, Settings, Update

QUIET = 10.0
SHORTEST_INTERVAL = 0.1
"""Seconds between two sets: changes that come closer together are taken together."""


class Client(Protocol):
    """What is asked of `gateway.discover.etcd.client.Etcd`."""

    async def list_range(self, start: bytes, end: bytes, *, changed_since: int = 0) -> Listing: ...
    def watch(self, start: bytes, end: bytes, revision: int, quiet: float) -> Changes: ...


@dataclass(frozen=True, slots=True)
class Prefix:
    """`connect` makes the client, which is closed when the watching ends."""

    target: str
    prefix: str
    settings: Settings
    connect: Callable[[], AbstractAsyncContextManager[Client]]

    async def watch(self) -> AsyncIterator[Update]:
        back_off = BackOff(FIRST_PAUSE)
        hosts = Hosts(self.settings)
        before: Update | None = None
        async with self.connect() as client:
            while True:
                try:
                    async with aclosing(self._follow(client, hosts, back_off)) as updates:
                        async for update in updates:
                            if update != before:
                                yield update
                            before = update
                except EtcdError as error:
                    # What ends a watch is no failure as long as the next listing succeeds at once.
                    if not isinstance(error, WatchEndedError) or back_off.failures:
                        before = Failed(f"{self.target}: {error}")
                        yield before
                await asyncio.sleep(back_off.next())

    async def _follow(self, client: Client, hosts: Hosts, back_off: BackOff) -> AsyncGenerator[Found, None]:
        """What is found in one listing and the watch after it."""
        start, end = prefix_range(self.prefix)
        listing = await client.list_range(start, end)
        entries, revision = {one.key: read(one.key, one.value) for one in listing.entries}, listing.revision
        yield await self._found(entries, hosts)
        async with aclosing(client.watch(start, end, revision + 1, QUIET)) as watch:
            async for changes in watch:
                for change in changes:
                    revision = max(revision, change.revision)
                    if change.value is None:
                        entries.pop(change.key, None)
                    else:
                        entries[change.key] = read(change.key, change.value)
                if not changes:
                    since = await client.list_range(start, end, changed_since=revision + 1)
                    if since.entries or since.count != len(entries):
                        return
                back_off.reset()
                yield await self._found(entries, hosts)
                await asyncio.sleep(SHORTEST_INTERVAL)

    async def _found(self, entries: dict[bytes, Read], hosts: Hosts) -> Found:
        known = [entries[key] for key in sorted(entries)]
        return merge(self.target, known, await hosts.resolve(host_names(known)))
