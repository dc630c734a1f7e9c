"""How a gateway ends without losing a request.

Whoever sends traffic learns of the end only with a delay: a load balancer probes every few seconds, a Service's
endpoints spread through a cluster, clients hold connections. So the end has phases, and the first of them changes
nothing but the answers to health checks:

    SERVING --signal--> ANNOUNCED --delay--> CLOSING --nothing open, or grace--> STOPPED
                            \\_______________________second signal_________________/

- ANNOUNCED: readiness and health say no; every request and every new connection is still served.
- CLOSING: clients are asked to go (GOAWAY in two steps, `Connection: close`); calls in flight finish. A second later
  nothing new is accepted; only after that can "nothing open" be the last word.
- STOPPED: whatever is still open is cut.

`advance` is pure: it takes the phase and what is known now, and says the next phase. `Drain` carries it out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from gateway.core import Core

log = logging.getLogger("tidegate.lifecycle")

ACCEPTS_WHILE_CLOSING = 1.0
"""Seconds for which the core goes on accepting after `close_connections`."""

CHECK_INTERVAL = 0.05


class Phase(Enum):
    SERVING = "serving"
    ANNOUNCED = "announced"
    CLOSING = "closing"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Policy:
    """Seconds from the first signal to CLOSING, and from there to STOPPED at the latest."""

    delay: float
    grace: float


@dataclass(frozen=True, slots=True)
class Position:
    """Where the drain stands, and since when."""

    phase: Phase
    since: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known at one moment. `signals` counts those since the start; the others what clients have open."""

    now: float
    signals: int
    streams: int
    connections: int


def advance(policy: Policy, position: Position, seen: Seen) -> Position:
    """The position that follows; the same one when nothing changes. One step at a time: call until it stays."""
    elapsed = seen.now - position.since
    match position.phase:
        case Phase.SERVING if seen.signals > 0:
            return Position(Phase.ANNOUNCED, seen.now)
        case Phase.ANNOUNCED | Phase.CLOSING if seen.signals > 1:
            return Position(Phase.STOPPED, seen.now)
        case Phase.ANNOUNCED if elapsed >= policy.delay:
            return Position(Phase.CLOSING, seen.now)
        case Phase.CLOSING if elapsed >= policy.grace:
            return Position(Phase.STOPPED, seen.now)
        case Phase.CLOSING if elapsed > ACCEPTS_WHILE_CLOSING and seen.streams == 0 and seen.connections == 0:
            return Position(Phase.STOPPED, seen.now)
    return position


class Drain:
    """Carries the drain of one core out. `signal` may be called at any time, also before `run`."""

    def __init__(self, core: Core, policy: Callable[[], Policy]) -> None:
        self._core = core
        self._policy = policy
        self._signals = 0
        self._woken = asyncio.Event()
        self._position = Position(Phase.SERVING, 0.0)

    @property
    def phase(self) -> Phase:
        return self._position.phase

    def signal(self) -> None:
        """The first call begins the drain, the second ends it at once."""
        self._signals += 1
        self._woken.set()

    async def run(self) -> None:
        """Waits for the first signal; returns when the core may be stopped."""
        clock = asyncio.get_running_loop().time
        while self._position.phase is not Phase.STOPPED:
            seen = Seen(clock(), self._signals, self._core.active_streams(), self._core.active_connections())
            following = advance(self._policy(), self._position, seen)
            if following != self._position:
                self._enter(following, seen)
                continue
            await self._sleep()

    def _enter(self, position: Position, seen: Seen) -> None:
        self._position = position
        policy = self._policy()
        match position.phase:
            case Phase.ANNOUNCED:
                log.info("Draining: health checks fail from now on; connections close in %g s.", policy.delay)
                self._core.announce_drain()
            case Phase.CLOSING:
                log.info("Draining: closing %d connections within %g s.", seen.connections, policy.grace)
                self._core.close_connections()
            case Phase.STOPPED:
                log.info("Stopping with %d streams on %d connections open.", seen.streams, seen.connections)
            case Phase.SERVING:
                pass

    async def _sleep(self) -> None:
        self._woken.clear()
        timeout = None if self._position.phase is Phase.SERVING else CHECK_INTERVAL
        try:
            async with asyncio.timeout(timeout):
                await self._woken.wait()
        except TimeoutError:
            pass
