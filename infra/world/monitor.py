"""Follows the health of a world's parts and remembers what was ever wrong."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from infra.world.probes import Probe, Prober

INTERVAL_SECONDS = 1.0
RETRY_SECONDS = 0.05


class Monitor:
    """`tell` gets a sentence for each change of a part's health."""

    def __init__(self, prober: Prober, tell: Callable[[str], None]) -> None:
        self._prober = prober
        self._tell = tell
        self._unhealthy: dict[str, str] = {}
        self.troubles: dict[str, str] = {}
        """What was first wrong with each part that was ever unhealthy, by its name."""

    async def look(self, probes: Sequence[Probe]) -> None:
        """Checks all of them once."""
        problems = await asyncio.gather(*(self._prober.check(probe) for probe in probes))
        for probe, problem in zip(probes, problems, strict=True):
            self._note(probe.name, problem)

    async def follow(self, probes: Sequence[Probe]) -> None:
        """Checks them every second until cancelled."""
        while True:
            await self.look(probes)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def wait_until_healthy(self, probes: Sequence[Probe], seconds: float) -> list[str]:
        """Waits for all of them at most so long; returns what is still wrong then."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        waiting = list(probes)
        while True:
            problems = await asyncio.gather(*(self._prober.check(probe) for probe in waiting))
            missing = [(probe, problem) for probe, problem in zip(waiting, problems, strict=True) if problem]
            if not missing or loop.time() >= deadline:
                return [f"{probe.name}: {problem}" for probe, problem in missing]
            waiting = [probe for probe, _ in missing]
            await asyncio.sleep(RETRY_SECONDS)

    def _note(self, name: str, problem: str | None) -> None:
        if problem is not None:
            self.troubles.setdefault(name, problem)
            if self._unhealthy.get(name) != problem:
                self._tell(f"{name}: {problem}")
            self._unhealthy[name] = problem
        elif self._unhealthy.pop(name, None) is not None:
            self._tell(f"{name}: healthy again")
