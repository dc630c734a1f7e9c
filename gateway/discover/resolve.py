"""Asks the system's resolver, in a thread of its own for each question.

The threads are daemons: a name server that does not answer holds up neither other names nor the end of the process.
There is never more than one for a name, because `watch` asks again only after the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Protocol


class ResolveError(Exception):
    """Says which name could not be resolved, and why."""


class Resolve(Protocol):
    """Returns the IP addresses of a host name, without repetition. Raises ResolveError."""

    async def __call__(self, host: str) -> tuple[str, ...]: ...


async def resolve(host: str) -> tuple[str, ...]:
    """The IPv4 addresses of `host`, or its IPv6 addresses when it has no other.

    Not both at once: on a machine with two families each server would count twice, and `localhost` half of the time
    lead to an address on which nobody listens.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[str, ...]] = loop.create_future()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            _deliver(loop, answer, ResolveError(f"{host} cannot be resolved: {_reason(error)}."))
        else:
            _deliver(loop, answer, _preferred([(family, str(address[0])) for family, _, _, _, address in found]))

    threading.Thread(target=ask, name=f"resolve {host}", daemon=True).start()
    return await answer


def _preferred(addresses: list[tuple[socket.AddressFamily, str]]) -> tuple[str, ...]:
    v4 = [address for family, address in addresses if family == socket.AF_INET]
    v6 = [address for family, address in addresses if family == socket.AF_INET6]
    return tuple(dict.fromkeys(v4 or v6))


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else "it is no host name"


def _deliver(
    loop: asyncio.AbstractEventLoop, answer: asyncio.Future[tuple[str, ...]], outcome: tuple[str, ...] | ResolveError
) -> None:
    def settle() -> None:
        if answer.done():
            return
        if isinstance(outcome, ResolveError):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)

    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(settle)
