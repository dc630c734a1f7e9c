"""The life of `tidegate up`: a world from its start to a signal, a failure or the end of its time."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.issuer.keys import KeyFileError
from infra.world.errors import WorldError
from infra.world.together import cancelled, unless
from infra.world.troubles import Troubles
from infra.world.watch import Watch
from infra.world.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.world.state import WorldState
    from infra.world.table import Picture
    from infra.world.world import Settings


@dataclass(frozen=True, slots=True)
class Listener:
    """`tell` gets progress and troubles as sentences, `ready` the addresses once everything serves, `show` what there
    is to see each second from then on."""

    tell: Callable[[str], None]
    ready: Callable[[WorldState], None]
    show: Callable[[Picture], None]


@dataclass(frozen=True, slots=True)
class Run:
    """`seconds`: to serve once all is ready, None until a signal comes. `load`: calls a second, 0 for none."""

    settings: Settings
    seconds: float | None = None
    load: float = 0.0


async def run_world(run: Run, listener: Listener) -> list[str]:
    """Runs until the time is over, a signal comes or a part fails; returns what was ever wrong, empty for nothing.

    BrokenPipeError: nobody reads what the listener has to say.
    """
    stop = asyncio.Event()
    world = World(run.settings, listener.tell)
    _on_signals(stop, world)
    troubles = Troubles(listener.tell)
    is_ready = asyncio.Event()
    life = asyncio.create_task(_live(world, run, listener, troubles, is_ready))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({life, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set():
        listener.tell("stopping; a second signal ends everything at once")
    await cancelled(life, stopped)
    outcome = None if life.cancelled() else life.exception()
    match outcome:
        case None if is_ready.is_set():
            return troubles.listed()
        case None:
            return ["stopped before everything was ready"]
        case BrokenPipeError():
            raise outcome
        case WorldError() | KeyFileError() | OSError():
            return [str(outcome)]
    raise outcome


async def _live(world: World, run: Run, listener: Listener, troubles: Troubles, is_ready: asyncio.Event) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(world)
        is_ready.set()
        listener.ready(world.state)
        load = await stack.enter_async_context(world.load(run.load)) if run.load else None
        watch = Watch(world, load, troubles)
        if load is not None:
            stack.callback(lambda: listener.tell(f"of {load.sent} calls {load.failed} failed"))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(run.seconds):
                await unless(world.first_end(), watch.run(listener.show))
        if not world.faults.active():
            for problem in await world.check_calls():
                name, _, what = problem.partition(": ")
                troubles.note(name, what)


def _on_signals(stop: asyncio.Event, world: World) -> None:
    def stop_or_kill() -> None:
        if stop.is_set():
            world.kill()
        stop.set()

    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        # `nohup` and shells' background jobs ask for some to be ignored.
        if signal.getsignal(number) is not signal.SIG_IGN:
            asyncio.get_running_loop().add_signal_handler(number, stop_or_kill)
