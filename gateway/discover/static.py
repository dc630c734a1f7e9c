"""Addresses that need no discovery."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Self

from gateway.discover.address import is_ip, join, split
from gateway.discover.source import Endpoint, Found, Update


@dataclass(frozen=True, slots=True)
class Static:
    endpoints: tuple[Endpoint, ...]

    @classmethod
    def of(cls, target: str) -> Self | None:
        """`ip:port`, `[v6]:port` or `unix:///path`; None: a host name. ValueError: none of these."""
        if target.startswith("unix://"):
            return cls((Endpoint(target),))
        host, port = split(target)
        return cls((Endpoint(join(host, port)),)) if is_ip(host) else None

    async def watch(self) -> AsyncIterator[Update]:
        yield Found(self.endpoints)
