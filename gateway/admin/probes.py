"""`/livez`, `/readyz` and `/healthz`: what a kubelet and a load balancer ask.

Live means that every loop turns: this process's own, which answers, and each worker's, which has to take part in a
beat. A gateway that has nothing to serve is alive but not ready; restarting it would help nobody.
"""

from __future__ import annotations

import asyncio

from gateway.admin.facts import Check
from gateway.core import Core

BEAT_TIME_OUT = 2.0


class Liveness:
    """Tests the workers' loops; callers at the same time share one test."""

    def __init__(self, core: Core, timeout: float = BEAT_TIME_OUT) -> None:
        self._core = core
        self._timeout = timeout
        self._beat: asyncio.Task[list[float | None]] | None = None

    async def check(self) -> tuple[Check, ...]:
        """One check for each worker."""
        if self._beat is None or self._beat.done():
            self._beat = asyncio.create_task(asyncio.to_thread(self._core.beat, self._timeout))
        answers = await asyncio.shield(self._beat)
        reason = f"the loop did not answer within {self._timeout:g} s"
        return tuple(Check(f"worker-{index}", answer is not None, reason) for index, answer in enumerate(answers))


def report(name: str, checks: tuple[Check, ...], verbose: bool) -> tuple[int, str]:
    """HTTP status and body for checks, in the form of Kubernetes' own components."""
    good = all(check.holds for check in checks)
    if good and not verbose:
        return 200, "ok\n"
    lines = [f"[+]{check.name} ok" if check.holds else f"[-]{check.name} failed: {check.reason}" for check in checks]
    return (200 if good else 503), "\n".join([*lines, f"{name} check {'passed' if good else 'failed'}"]) + "\n"
