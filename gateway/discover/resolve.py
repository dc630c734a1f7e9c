"""Asks the system's resolver, in a thread of its own for each question.

The threads are daemons: a name server that does not answer holds up neither other names nor the end of the process.
There is never more than one for a name, because `watch` asks again only after the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Sequence
from typing import Protocol

from gateway.configuration.model import LookupFamily


class ResolveError(Exception):
    """Says which name could not be resolved, and why."""


class Resolve(Protocol):
    """Returns the IP addresses of a host name, without repetition. Raises ResolveError."""

    async def __call__(self, host: str, family: LookupFamily) -> tuple[str, ...]: ...


async def resolve(host: str, family: LookupFamily) -> tuple[str, ...]:
    """The addresses of `host` that `family` allows; ResolveError too where it has none of them.

    A preferred family is used alone: with both, each server of a machine with two families would count twice, and
    `localhost` half of the time lead to an address on which nobody listens.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[str, ...]] = loop.create_future()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            _deliver(loop, answer, ResolveError(f"{host} cannot be resolved: {_reason(error)}."))
        else:
            addresses = select([(kind, str(address[0])) for kind, _, _, _, address in found], family)
            outcome = addresses or ResolveError(f"{host} has no address of the family {family}.")
            _deliver(loop, answer, outcome)

    threading.Thread(target=ask, name=f"resolve {host}", daemon=True).start()
    return await answer


def select(addresses: Sequence[tuple[socket.AddressFamily, str]], family: LookupFamily) -> tuple[str, ...]:
    """Those of (kind, address) that count, in the resolver's order and once each."""
    v4 = [address for kind, address in addresses if kind == socket.AF_INET]
    v6 = [address for kind, address in addresses if kind == socket.AF_INET6]
    chosen: dict[LookupFamily, list[str]] = {
        "auto": v6 or v4,
        "v4only": v4,
        "v6only": v6,
        "v4preferred": v4 or v6,
        "all": [*v4, *v6],
    }
    return tuple(dict.fromkeys(chosen[family]))


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
