"""Keeps one server announced: the same life whatever the registry is."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.discover.back_off import BackOff
from gateway.discover.registry.http import FIRST_PAUSE

WITHDRAWAL_TIME_OUT = 5.0


class RegistrationError(Exception):
    """Says which registry could not be told, and why."""


@dataclass(frozen=True, slots=True)
class Server:
    """What is announced. `name` is its own among the servers of its service; `ttl` in seconds is how long the registry
    keeps it without a sign of life."""

    name: str
    host: str
    port: int
    ttl: float
    weight: int = 1
    metadata: Mapping[str, str] | None = None


class Registration(Protocol):
    """One server in one registry. All raise RegistrationError."""

    def __str__(self) -> str:
        """What is announced where, for people."""

    @property
    def interval(self) -> float:
        """Seconds between two signs of life."""

    async def announce(self) -> None:
        """Writes the server, over whatever stands under its name."""

    async def refresh(self) -> bool:
        """A sign of life. False: the registry has lost the server."""

    async def withdraw(self) -> None:
        """Takes the server out at once."""


async def keep_announced(registration: Registration, stop: asyncio.Event, tell: Callable[[str], None]) -> bool:
    """Announces until `stop` is set, again whenever the registry lost it; then withdraws.

    False: it could not be withdrawn, so it stays until its time to live is over. A registry that is down is asked again
    and again. `tell` is given what a person wants to know, once each.
    """
    work = asyncio.create_task(_work(registration, tell))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            work.result()
    finally:
        for task in (work, stopping):
            task.cancel()
        await asyncio.wait([work, stopping])
    return await _withdraw(registration, tell)


async def _work(registration: Registration, tell: Callable[[str], None]) -> None:
    back_off = BackOff(FIRST_PAUSE, longest=10.0)
    announced = False
    trouble = ""
    while True:
        try:
            if announced and not await registration.refresh():
                tell(f"The registry has lost {registration}; it is announced again.")
                announced = False
            if not announced:
                await registration.announce()
                tell(f"Announced {registration}.")
            elif trouble:
                tell(f"The registry answers again: {registration} is announced.")
        except RegistrationError as error:
            if str(error) != trouble:
                tell(f"{error} Trying again.")
            trouble = str(error)
            await asyncio.sleep(min(back_off.next(), registration.interval))
        else:
            announced, trouble = True, ""
            back_off.reset()
            await asyncio.sleep(registration.interval)


async def _withdraw(registration: Registration, tell: Callable[[str], None]) -> bool:
    try:
        async with asyncio.timeout(WITHDRAWAL_TIME_OUT):
            await registration.withdraw()
    except RegistrationError as error:
        tell(f"{error} It vanishes when its time to live is over.")
    except TimeoutError:
        tell(f"{registration} could not be withdrawn in time; it vanishes when its time to live is over.")
    else:
        tell(f"Withdrew {registration}.")
        return True
    return False


async def until_signalled(registration: Registration, tell: Callable[[str], None]) -> bool:
    """`keep_announced` until SIGTERM or SIGINT; a second one ends the process at once."""
    import signal

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    signals = (signal.SIGTERM, signal.SIGINT)

    def end() -> None:
        stop.set()
        for number in signals:
            loop.remove_signal_handler(number)

    for number in signals:
        loop.add_signal_handler(number, end)
    try:
        return await keep_announced(registration, stop, tell)
    finally:
        with contextlib.suppress(ValueError):
            end()
