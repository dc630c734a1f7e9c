"""Follows a service in Consul by blocking queries: each is answered when something changes, or after `WAIT` seconds.

`WAIT` is short, for it bounds how long an agent that no longer answers goes unnoticed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.discover.back_off import BackOff
from gateway.discover.consul.access import Query
from gateway.discover.consul.client import Answer, ConsulError
from gateway.discover.consul.instances import next_index, read
from gateway.discover.registry.entries import host_names, merge
from gateway.discover.registry.hosts import Hosts
from gateway.discover.registry.http import FIRST_PAUSE
from gateway.discover.source import Failed, Found, Settings, Update

WAIT = 15.0
SHORTEST_INTERVAL = 0.1
"""Seconds between two questions: a service that changes without a pause costs ten a second."""


class Client(Protocol):
    """What is asked of `gateway.discover.consul.client.Consul`."""

    async def instances(self, query: Query, index: int, wait: float) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Service:
    """`connect` makes the client, which is closed when the watching ends."""

    target: str
    query: Query
    settings: Settings
    connect: Callable[[], AbstractAsyncContextManager[Client]]

    async def watch(self) -> AsyncIterator[Update]:
        back_off = BackOff(FIRST_PAUSE)
        hosts = Hosts(self.settings)
        before: Update | None = None
        index = 0
        async with self.connect() as client:
            while True:
                try:
                    answer = await client.instances(self.query, index, WAIT)
                    found = await self._found(answer, hosts)
                except ConsulError as error:
                    before, index = Failed(f"{self.target}: {error}"), 0
                    yield before
                    await asyncio.sleep(back_off.next())
                    continue
                back_off.reset()
                if found != before:
                    yield found
                before = found
                index = next_index(index, answer.index)
                await asyncio.sleep(SHORTEST_INTERVAL)

    async def _found(self, answer: Answer, hosts: Hosts) -> Found:
        try:
            entries = read(answer.instances)
        except ValueError as error:
            raise ConsulError(f"Consul answers what cannot be read: {error}.") from None
        if answer.filtered and not entries:
            raise ConsulError("The token may not read this service; it needs service:read and node:read.")
        found = merge(self.target, entries, await hosts.resolve(host_names(entries)))
        if not found.endpoints and not found.hint:
            hint = f"{self.target} has no instance that passes: none is registered, or the token may not read it."
            return Found((), hint)
        return found
