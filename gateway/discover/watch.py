"""Names in, a stream of complete endpoint sets out: the one interface of discovery."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gateway.configuration.model import LookupFamily
from gateway.discover.resolve import Resolve, ResolveError
from gateway.discover.target import Literal, join, parse


@dataclass(frozen=True, slots=True)
class Resolution:
    """`endpoints` are what the core takes as addresses; a target in `errors` contributes those it had before."""

    endpoints: tuple[str, ...]
    errors: tuple[str, ...] = ()


async def watch(
    targets: Sequence[str], resolve: Resolve, interval: float, family: LookupFamily = "v4preferred"
) -> AsyncIterator[Resolution]:
    """Yields what `targets` stand for: at once, and again every `interval` seconds while any of them is a name.

    ValueError: a target is of no known form.
    """
    parsed = [parse(target) for target in targets]
    known: dict[str, tuple[str, ...]] = {}
    while True:
        hosts = tuple(dict.fromkeys(target.host for target in parsed if not isinstance(target, Literal)))
        answers = await asyncio.gather(*(resolve(host, family) for host in hosts), return_exceptions=True)
        errors: list[str] = []
        for host, answer in zip(hosts, answers, strict=True):
            if isinstance(answer, ResolveError):
                errors.append(str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                known[host] = answer
        endpoints: list[str] = []
        for target in parsed:
            if isinstance(target, Literal):
                endpoints.append(target.address)
            else:
                endpoints += [join(address, target.port) for address in known.get(target.host, ())]
        yield Resolution(tuple(dict.fromkeys(endpoints)), tuple(errors))
        if not hosts:
            return
        await asyncio.sleep(interval)
