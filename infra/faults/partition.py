"""A pod that the network has lost: every packet between its gateway and anyone else is dropped.

What app and gateway say to each other goes on, as it does within a real pod. Beyond that the gateway's listeners and
all of its connections are cut, those too that the kernel has taken and the gateway has not accepted yet, and with each
connection its other end, so that nothing gets out either. Ends in processes that are none of ours stay as they are, and
so do connections that the gateway opens itself later: a sidecar opens some to its app and, at times, one for keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from infra.faults import packets
from infra.faults.packets import Sockets
from infra.faults.sockets import TcpSocket, other_ends, sockets_of
from infra.faults.target import FaultError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from infra.faults.target import PodTarget

ACCEPT_SECONDS = 5.0
"""For the gateway to accept what the kernel has taken for it; it does so within a millisecond."""
LOOK_SECONDS = 0.005


async def cut(pod: PodTarget) -> int:
    """Returns how many connections were cut. FaultError: nothing is cut."""
    packets.check()
    try:
        return await _each(pod, Sockets.cut)
    except TimeoutError:
        await mend(pod)
        raise FaultError("does not accept its connections: heal it before it is cut off") from None


async def mend(pod: PodTarget) -> None:
    """FaultError."""
    with contextlib.suppress(TimeoutError):
        await _each(pod, Sockets.mend)


async def _each(pod: PodTarget, act: Callable[[Sockets, TcpSocket], None]) -> int:
    """Acts on all of the pod's sockets until there are no others. TimeoutError: it does not accept some."""
    seen: set[int] = set()
    connections = 0
    give_up = time.monotonic() + ACCEPT_SECONDS
    with Sockets(pod.gateway) as sockets:
        while True:
            outside = network_side(pod)
            fresh = [entry for entry in outside if entry.inode and entry.inode not in seen]
            for entry in fresh:
                act(sockets, entry)
            _act_on_other_ends(fresh, act)
            seen.update(entry.inode for entry in fresh)
            connections += sum(not entry.listens for entry in fresh)
            if not fresh and all(entry.inode for entry in outside):
                return connections
            if time.monotonic() > give_up:
                raise TimeoutError
            await asyncio.sleep(LOOK_SECONDS)


def _act_on_other_ends(entries: Sequence[TcpSocket], act: Callable[[Sockets, TcpSocket], None]) -> None:
    for process, ends in other_ends(entries).items():
        with contextlib.suppress(FaultError), Sockets(process) as sockets:
            for end in ends:
                act(sockets, end)


def network_side(pod: PodTarget) -> list[TcpSocket]:
    """The gateway's sockets less its connections to the app. FaultError."""
    try:
        app = {entry.local for entry in sockets_of(pod.app) if entry.listens}
        return [entry for entry in sockets_of(pod.gateway) if entry.listens or not entry.remote.is_of(app)]
    except PermissionError as error:
        raise FaultError(f"{error.filename} cannot be read: run as the user that started it") from None
    except OSError as error:
        raise FaultError(f"its processes cannot be looked at: {error.strerror}") from None
