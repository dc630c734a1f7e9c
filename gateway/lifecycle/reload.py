"""Takes a new configuration over while the old one serves: on SIGHUP, and when one of its files changes.

A configuration that cannot be read, compiled or served is refused as a whole, said and counted; the old one goes on.
The files of a refused configuration are watched as well: a certificate that it names may arrive a moment later.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from gateway.configuration.model import GatewayConfig
from gateway.lifecycle.log import FIELDS
from gateway.lifecycle.sources import Stamps, stamps, stamps_since
from gateway.problems import problems_of

log = logging.getLogger("tidegate.reload")

CHECK_INTERVAL = 1.0
SETTLE_CHECKS = 10
"""Checks for which files may go on changing before they are read all the same."""


class Loaded(Protocol):
    """What `gateway.configuration.load` returns."""

    @property
    def config(self) -> GatewayConfig: ...
    @property
    def warnings(self) -> Sequence[object]: ...


@dataclass(frozen=True, slots=True)
class ReloadReport:
    """Reloads since the start. `refused_at` is in Unix seconds; None unless the last one was refused."""

    applied: int = 0
    refused: int = 0
    refused_at: float | None = None
    problems: tuple[str, ...] = ()


class Reloader:
    """Watches and reloads: `load` reads the configuration, `apply` serves it or raises, `sources` names its files."""

    def __init__(
        self,
        load: Callable[[], Loaded],
        apply: Callable[[Loaded], Awaitable[None]],
        sources: Callable[[GatewayConfig], Iterable[Path]],
        serving: Loaded,
        loaded_at: float,
        interval: float = CHECK_INTERVAL,
    ) -> None:
        self._load = load
        self._apply = apply
        self._sources = sources
        self._serving = serving
        self._refused: Loaded | None = None
        self._seen: Stamps = stamps_since(self._paths(), loaded_at)
        self._interval = interval
        self._requested = asyncio.Event()
        self.report = ReloadReport()

    def request(self) -> None:
        """Asks for a reload whether or not a file has changed."""
        self._requested.set()

    async def run(self) -> None:
        """Reloads until it is cancelled."""
        while True:
            if await self._sleep() or await self._changed():
                await self._reload()

    async def _sleep(self) -> bool:
        try:
            async with asyncio.timeout(self._interval):
                await self._requested.wait()
        except TimeoutError:
            return False
        self._requested.clear()
        return True

    async def _changed(self) -> bool:
        now = await asyncio.to_thread(stamps, self._paths())
        if now == self._seen:
            return False
        for _ in range(SETTLE_CHECKS):
            await asyncio.sleep(self._interval / 4)
            before, now = now, await asyncio.to_thread(stamps, self._paths())
            if before == now:
                break
        return True

    async def _reload(self) -> None:
        self._seen = await asyncio.to_thread(stamps, self._paths())
        started = time.time()
        loaded: Loaded | None = None
        try:
            loaded = await asyncio.to_thread(self._load)
            await self._apply(loaded)
        except Exception as error:  # noqa: BLE001  whatever is wrong with the new one, the old one goes on
            self._refused = loaded or self._refused
            self._say_refused(error)
        else:
            self._serving, self._refused = loaded, None
            self.report = ReloadReport(applied=self.report.applied + 1, refused=self.report.refused)
            log.info("A new configuration is served.")
        fresh = await asyncio.to_thread(stamps_since, self._paths(), started)
        self._seen = {path: self._seen.get(path, stamp) for path, stamp in fresh.items()}

    def _say_refused(self, error: Exception) -> None:
        problems = problems_of(error)
        if problems is None:
            log.error("A new configuration was refused; the old one goes on serving.", exc_info=error)
            problems = (f"{type(error).__name__}: {error}",)
        else:
            message = "A new configuration was refused; the old one goes on serving: %s"
            log.error(message, "; ".join(problems), extra={FIELDS: {"problems": problems}})
        refused = self.report.refused + 1
        self.report = replace(self.report, refused=refused, refused_at=time.time(), problems=problems)

    def _paths(self) -> list[Path]:
        configs = [loaded.config for loaded in (self._serving, self._refused) if loaded is not None]
        return list(dict.fromkeys(path for config in configs for path in self._sources(config)))
