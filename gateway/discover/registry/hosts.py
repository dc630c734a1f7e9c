"""Registries hold host names as well as addresses."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.discover.registry.entries import Addresses
from gateway.discover.resolve import ResolveError
from gateway.discover.source import Settings

AT_ONCE = 16
"""Questions under way; each has a thread of its own."""


class Hosts:
    """Resolves; of a name that cannot be resolved now, the addresses known before stay."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: dict[str, tuple[str, ...]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def resolve(self, names: Sequence[str]) -> Addresses:
        """The addresses of each of these names; names that are not asked for are forgotten."""
        self._known = {name: self._known.get(name, ()) for name in names}
        if names:
            await asyncio.gather(*(self._ask(name) for name in names))
        return self._known

    async def _ask(self, name: str) -> None:
        async with self._slots:
            try:
                self._known[name] = await self._settings.resolve(name, self._settings.family)
            except ResolveError:
                return
