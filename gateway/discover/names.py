"""`host:port`: the system's resolver is asked again and again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Self

from gateway.discover.address import join, split
from gateway.discover.again import Again
from gateway.discover.resolve import ResolveError
from gateway.discover.source import Endpoint, Failed, Found, Settings, Update


@dataclass(frozen=True, slots=True)
class HostName:
    host: str
    port: int
    settings: Settings
    again: Again = field(default_factory=Again, compare=False, repr=False)

    @classmethod
    def of(cls, target: str, settings: Settings) -> Self:
        """ValueError: it is not `host:port`."""
        host, port = split(target)
        return cls(host, port, settings)

    def refresh(self) -> None:
        self.again.want()

    async def watch(self) -> AsyncIterator[Update]:
        before: frozenset[str] | None = None
        while True:
            changed = False
            try:
                addresses = await self.settings.resolve(self.host, self.settings.family)
            except ResolveError as error:
                yield Failed(str(error))
            else:
                found = frozenset(addresses)
                changed, before = found != before, found
                yield Found(tuple(Endpoint(join(address, self.port)) for address in dict.fromkeys(addresses)))
            await self.again.pause(self.settings.interval, changed)
