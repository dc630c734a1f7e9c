"""Keeps what is known of some objects of the API up to date: lists them, then watches what becomes of them.

A watch that ends, as each does after some minutes, goes on behind the last version that was seen, so nothing is missed
and nothing is listed twice. When the server no longer knows that version (410) the objects are listed again, and the
list replaces all that was known. So it is, as in client-go, after an error of the server's and an event that cannot be
read: from that version on the same might come for ever, and nothing that is behind it.

Where the first kind may not be read or is not there, the next takes its place; each time that a watch ends the first is
asked for again. Once it was read a refusal is a failure like others: a server that has just started refuses what it
will grant a moment later, and the next kind may hold less.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from gateway.discover.back_off import BackOff
from gateway.discover.kubernetes.api import Absent, Api, ApiError, Collection, Event, Expired, Forbidden, Unusable
from gateway.discover.kubernetes.objects import Json, name_of, version_of

log = logging.getLogger("tidegate.discover")

SHORTEST_WATCH = 1.0
"""Seconds. After a watch that ended sooner we wait, for the next may end as soon."""

Facts = TypeVar("Facts")


@dataclass(frozen=True, slots=True)
class Kind(Generic[Facts]):
    """`note` is for the operator where this kind takes the place of the first."""

    collection: Collection
    read: Callable[[Json], Facts]
    note: str = ""


@dataclass(slots=True)
class View(Generic[Facts]):
    """What is known. `complete`: it was listed once. `failure` "": all is well; `failures` counts since the start."""

    objects: dict[str, Facts] = field(default_factory=dict)
    complete: bool = False
    failure: str = ""
    failures: int = 0
    note: str = ""


class Follower(Generic[Facts]):
    """`changed` is called after each change of `view`."""

    def __init__(
        self, api: Api, kinds: Sequence[Kind[Facts]], changed: Callable[[], None], back_off: BackOff | None = None
    ) -> None:
        self.view: View[Facts] = View()
        self._api = api
        self._kinds = kinds
        self._changed = changed
        self._back_off = back_off or BackOff()
        self._kind: Kind[Facts] | None = None
        self._version = ""
        self._first_was_read = False

    async def run(self) -> None:
        """Follows until it is cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                try:
                    await self._follow_any()
                except ApiError as error:
                    self._fail(str(error))
                    await asyncio.sleep(max(self._back_off.next(), error.retry_after))
                else:
                    if loop.time() - began < SHORTEST_WATCH:
                        await asyncio.sleep(self._back_off.next())
        finally:
            await self._api.aclose()

    async def _follow_any(self) -> None:
        refused: ApiError | None = None
        for kind in self._kinds:
            try:
                await self._follow(kind)
            except (Forbidden, Absent) as error:
                refused = refused or error
                self._kind = None if self._kind is kind else self._kind
                if self._first_was_read:
                    break
            else:
                return
        if refused is not None:
            raise refused

    async def _follow(self, kind: Kind[Facts]) -> None:
        """Until its watch ends."""
        if self._kind is not kind:
            await self._list(kind)
        try:
            async with self._api.watch(kind.collection, self._version) as events:
                self._succeed()
                await self._take(kind, events)
        except Expired:
            log.debug("%s are listed again: the server no longer knows our version.", kind.collection.resource)
            self._kind = None
        except Unusable:
            self._kind = None
            raise

    async def _list(self, kind: Kind[Facts]) -> None:
        listed = await self._api.list(kind.collection)
        view = self.view
        view.objects = {name_of(document): kind.read(document) for document in listed.items}
        view.complete, view.note = True, kind.note
        self._kind, self._version = kind, listed.version
        self._first_was_read |= kind is self._kinds[0]
        self._changed()

    async def _take(self, kind: Kind[Facts], events: AsyncIterator[Event]) -> None:
        began = asyncio.get_running_loop().time()
        async for event in events:
            if asyncio.get_running_loop().time() - began >= SHORTEST_WATCH:
                self._back_off.reset()
            self._version = version_of(event.document) or self._version
            name = name_of(event.document)
            if event.kind in ("ADDED", "MODIFIED"):
                self.view.objects[name] = kind.read(event.document)
            elif event.kind != "DELETED" or self.view.objects.pop(name, None) is None:
                continue
            self._changed()
        if asyncio.get_running_loop().time() - began >= SHORTEST_WATCH:
            self._back_off.reset()

    def _succeed(self) -> None:
        if self.view.failure:
            self.view.failure = ""
            self._changed()

    def _fail(self, reason: str) -> None:
        self.view.failure = reason
        self.view.failures += 1
        self._changed()
