"""`static:`: addresses with what a registry would say of them.

    static:10.0.0.1:50051;weight=3;zone=a,10.0.0.2:50051;priority=1;metadata.version=2

Values are percent-encoded where they hold a comma, a semicolon or a percent sign. Host names are resolved again and
again, and every address of a name has what is said of the name.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote, unquote

from gateway.configuration.problems import did_you_mean
from gateway.configuration.quantities import HIGHEST_WEIGHT, check_target, has_scheme
from gateway.discover.address import is_ip, join, split
from gateway.discover.again import Again
from gateway.discover.resolve import ResolveError
from gateway.discover.source import Endpoint, Failed, Found, Settings, Update

SCHEME = "static:"
METADATA = "metadata."

_PARAMETERS = ("weight", "zone", "priority")
_EXAMPLE = "10.0.0.1:50051;weight=3;zone=a;priority=0;metadata.version=2"


def check(target: str) -> None:
    """ValueError: it is no such list; names the entry."""
    parse(target)


def open_source(target: str, settings: Settings) -> StaticList:
    """ValueError as `check`."""
    return StaticList(parse(target), settings)


def server_name(target: str) -> str:
    """The first entry's host."""
    address = parse(target)[0].address
    return "" if address.startswith("unix:") else split(address)[0].rstrip(".")


def parse(target: str) -> tuple[Endpoint, ...]:
    """The entries of a list, once each; an `address` may be `name:port`.

    ValueError: it is no such list, or says two things of one address.
    """
    entries = [_entry(text.strip()) for text in target.removeprefix(SCHEME).split(",")]
    seen: dict[str, Endpoint] = {}
    for entry in entries:
        if contradiction := differing(seen.setdefault(entry.address, entry), entry):
            raise ValueError(contradiction)
    return tuple(seen.values())


def spell(endpoint: Endpoint) -> str:
    """The list that holds this endpoint alone, and from which `parse` reads it."""
    metadata = [(METADATA + key, value) for key, value in endpoint.metadata]
    said = [("weight", str(endpoint.weight)), ("zone", endpoint.zone), ("priority", str(endpoint.priority)), *metadata]
    parts = [quote(endpoint.address, safe=":/[]"), *(f"{quote(key)}={quote(value)}" for key, value in said if value)]
    return SCHEME + ";".join(parts)


def written(target: str) -> tuple[Endpoint, ...]:
    """What a target says by itself of each address in it; nothing where a registry has to be asked."""
    if target.startswith(SCHEME):
        return parse(target)
    return () if has_scheme(target) else (Endpoint(_canonical(target)),)


def differing(first: Endpoint, second: Endpoint) -> str:
    """What two entries of one address contradict each other in, as a message; "" where they do not."""
    said = [
        f"{name} {getattr(first, name) or 'none'} and {getattr(second, name) or 'none'}"
        for name in ("weight", "zone", "priority")
        if getattr(first, name) != getattr(second, name)
    ]
    if first.metadata != second.metadata:
        said.append("other metadata")
    return f"{second.address} is given a second time, and differs: {', '.join(said)}" if said else ""


def _entry(text: str) -> Endpoint:
    address, *parameters = text.split(";")
    if not address:
        raise ValueError(f"an address is missing in a static list; write static:{_EXAMPLE}")
    endpoint = Endpoint(check_address(unquote(address)))
    address = endpoint.address
    given: set[str] = set()
    for parameter in parameters:
        name, equals, value = (unquote(part) for part in parameter.partition("="))
        if not equals:
            raise ValueError(f'{address}: "{parameter}" is not NAME=VALUE, as in {_EXAMPLE}')
        if name in given:
            raise ValueError(f"{address}: {name} is given a second time")
        given.add(name)
        endpoint = _with(endpoint, name, value)
    return endpoint


def check_address(text: str) -> str:
    """`HOST:PORT`, `[IPv6]:PORT` or `unix:///path`, in one spelling. ValueError says what is wrong."""
    if has_scheme(text):
        raise ValueError(f'"{text}": a static list holds HOST:PORT, [IPv6]:PORT and unix:///path')
    return _canonical(check_target(text))


def _with(endpoint: Endpoint, name: str, value: str) -> Endpoint:
    if name.startswith(METADATA) and name != METADATA:
        return replace(endpoint, metadata=(*endpoint.metadata, (name.removeprefix(METADATA), value)))
    match name:
        case "zone":
            return replace(endpoint, zone=value)
        case "weight":
            return replace(endpoint, weight=_number(endpoint, name, value, 1))
        case "priority":
            return replace(endpoint, priority=_number(endpoint, name, value, 0))
    hint = did_you_mean(name, _PARAMETERS)
    known = f"{', '.join(_PARAMETERS)} and {METADATA}NAME"
    raise ValueError(f'{endpoint.address}: "{name}" is none of {known}{f"; {hint}" if hint else ""}')


def _number(endpoint: Endpoint, name: str, value: str, least: int) -> int:
    if re.fullmatch(r"\d{1,5}", value, re.ASCII) and least <= int(value) <= HIGHEST_WEIGHT:
        return int(value)
    raise ValueError(f'{endpoint.address}: {name} "{value}" is not a whole number from {least} to {HIGHEST_WEIGHT}')


def _canonical(address: str) -> str:
    """One spelling of an address, so that a second one is noticed."""
    if address.startswith("unix:"):
        return address
    host, port = split(address)
    return join(str(ipaddress.ip_address(host)) if is_ip(host) else host.lower(), port)


@dataclass(frozen=True, slots=True)
class StaticList:
    entries: tuple[Endpoint, ...]
    settings: Settings
    again: Again = field(default_factory=Again, compare=False, repr=False)

    def refresh(self) -> None:
        self.again.want()

    async def watch(self) -> AsyncIterator[Update]:
        """Ends after the first set where no entry is a host name."""
        hosts = tuple(dict.fromkeys(host for entry in self.entries if (host := _host_of(entry))))
        known: dict[str, tuple[str, ...]] = {}
        told: Found | None = None
        before: frozenset[Endpoint] | None = None
        while True:
            failures = await self._ask(hosts, known)
            found = Found(self._resolved(known))
            if not failures or (found != told and found.endpoints):
                told = found
                yield found
            if failures:
                yield Failed(" ".join(failures))
            if not hosts:
                return
            endpoints = frozenset(found.endpoints)
            changed, before = endpoints != before, endpoints
            await self.again.pause(self.settings.interval, changed)

    async def _ask(self, hosts: Sequence[str], known: dict[str, tuple[str, ...]]) -> list[str]:
        """Brings `known` up to date, and returns why some of it could not be."""
        questions = (self.settings.resolve(host, self.settings.family) for host in hosts)
        answers = await asyncio.gather(*questions, return_exceptions=True)
        failures = []
        for host, answer in zip(hosts, answers, strict=True):
            if isinstance(answer, ResolveError):
                failures.append(str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                known[host] = answer
        return failures

    def _resolved(self, known: dict[str, tuple[str, ...]]) -> tuple[Endpoint, ...]:
        """Every entry's endpoints; of an address that two names have, the first entry counts."""
        merged: dict[str, Endpoint] = {}
        for entry in self.entries:
            host = _host_of(entry)
            if host is None:
                merged.setdefault(entry.address, entry)
                continue
            for found in known.get(host, ()):
                address = join(found, split(entry.address)[1])
                merged.setdefault(address, replace(entry, address=address))
        return tuple(merged.values())


def _host_of(entry: Endpoint) -> str | None:
    """The name that has to be resolved, if there is one."""
    if entry.address.startswith("unix:"):
        return None
    host, _ = split(entry.address)
    return None if is_ip(host) else host
