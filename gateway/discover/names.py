"""`host:port`: the system's resolver is asked again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

from gateway.discover.address import join, split
from gateway.discover.resolve import ResolveError
from gateway.discover.source import Endpoint, Failed, Found, Settings, Update


@dataclass(frozen=True, slots=True)
class HostName:
    host: str
    port: int
    settings: Settings

    @classmethod
    def of(cls, target: str, settings: Settings) -> Self:
        """ValueError: it is not `host:port`."""
        host, port = split(target)
        return cls(host, port, settings)

    async def watch(self) -> AsyncIterator[Update]:
        while True:
            try:
                addresses = await self.settings.resolve(self.host, self.settings.family)
            except ResolveError as error:
                yield Failed(str(error))
            else:
                yield Found(tuple(Endpoint(join(address, self.port)) for address in dict.fromkeys(addresses)))
            await asyncio.sleep(self.settings.interval)
