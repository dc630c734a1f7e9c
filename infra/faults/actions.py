"""How each fault is made and undone; every function returns what it did, in a sentence's second half."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any, NamedTuple

from infra import unix_socket
from infra.faults import kinds, partition
from infra.faults.target import FaultError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from infra.faults.target import PodTarget

CONTROL_SECONDS = 5.0


class Action(NamedTuple):
    begin: Callable[[PodTarget], Awaitable[str]]
    end: Callable[[PodTarget], Awaitable[str]]


async def kill(pod: PodTarget) -> str:
    _kill(*pod.processes)
    return f"killed with its connections (SIGKILL to processes {pod.gateway} and {pod.app})"


async def hang(pod: PodTarget) -> str:
    _signal(signal.SIGSTOP, *pod.processes)
    return f"stands still with its connections open (SIGSTOP to processes {pod.gateway} and {pod.app})"


async def wake(pod: PodTarget) -> str:
    _signal(signal.SIGCONT, pod.app, pod.gateway)
    return "goes on (SIGCONT)"


async def stop_serving(pod: PodTarget) -> str:
    _signal(signal.SIGUSR1, pod.app)
    return "says NOT_SERVING and goes on answering"


async def serve(pod: PodTarget) -> str:
    _signal(signal.SIGUSR2, pod.app)
    return "says SERVING again"


async def cut(pod: PodTarget) -> str:
    connections = await partition.cut(pod)
    what = "a connection" if connections == 1 else f"{connections} connections"
    return f"cut off: its listeners and {what} lose every packet"


async def mend(pod: PodTarget) -> str:
    await partition.mend(pod)
    return "connected again"


async def slow(pod: PodTarget) -> str:
    await _control(pod, delay=kinds.SLOW_SECONDS)
    return f"takes {kinds.SLOW_SECONDS:g} s longer for each call"


async def overload(pod: PodTarget) -> str:
    await _control(pod, delay=kinds.OVERLOAD_SECONDS, capacity=kinds.OVERLOAD_CAPACITY)
    return f"serves {kinds.OVERLOAD_CAPACITY} calls at a time, {kinds.OVERLOAD_SECONDS * 1000:g} ms each; others wait"


async def relieve(pod: PodTarget) -> str:
    await _control(pod)
    return "as fast as ever"


def actions(restart: Callable[[str], Awaitable[None]]) -> dict[str, Action]:
    """By fault. `restart` starts the pod of that name anew and returns when it serves."""

    async def start_anew(pod: PodTarget) -> str:
        await restart(pod.name)
        return "started anew"

    return {
        kinds.KILL: Action(kill, start_anew),
        kinds.HANG: Action(hang, wake),
        kinds.NOT_SERVING: Action(stop_serving, serve),
        kinds.PARTITION: Action(cut, mend),
        kinds.SLOW: Action(slow, relieve),
        kinds.OVERLOAD: Action(overload, relieve),
    }


def _signal(number: signal.Signals, *processes: int) -> None:
    for process in processes:
        try:
            _send(number, process)
        except ProcessLookupError:
            raise FaultError(f"process {process} has ended") from None


def _send(number: signal.Signals, process: int) -> None:
    try:
        os.kill(process, number)
    except PermissionError:
        raise FaultError(f"process {process} is of another user") from None


def _kill(*processes: int) -> None:
    """They share a fate: one may be gone with the other before its own signal comes."""
    living = 0
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            _send(signal.SIGKILL, process)
            living += 1
    if not living:
        raise FaultError(f"its processes have ended: {', '.join(map(str, processes))}")


async def _control(pod: PodTarget, **settings: Any) -> None:
    try:
        answer = await unix_socket.ask(pod.control, settings, CONTROL_SECONDS)
    except TimeoutError:
        raise FaultError(f"its app does not answer within {CONTROL_SECONDS:g} s") from None
    except (OSError, ValueError) as error:
        raise FaultError(f"its app cannot be asked at {pod.control}: {error}") from None
    if "error" in answer:
        raise FaultError(f"its app refuses: {answer['error']}")
