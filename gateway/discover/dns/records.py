"""What name servers say, and the endpoints that this stands for. Nothing here asks anybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from gateway.configuration.model import LookupFamily
from gateway.discover.address import join
from gateway.discover.source import Endpoint

Kind = Literal["A", "AAAA"]

KINDS: dict[LookupFamily, tuple[Kind, ...]] = {
    "v4only": ("A",),
    "v6only": ("AAAA",),
    "v4preferred": ("A", "AAAA"),
    "auto": ("AAAA", "A"),
    "all": ("A", "AAAA"),
}
"""The records of each family, in the order in which they are asked for; but for `all` the first that exist count."""

RETRY_TTL = 5.0
"""Seconds after which the targets of SRV records that could not be asked for are asked for again."""

NOT_HEADLESS = (
    "{name} has one address. Of a Kubernetes service that is its cluster IP, behind which requests are not balanced:"
    " make it headless (clusterIP: None), so that every pod is found."
)


class QuestionFailed(Exception):
    """A name server could not be asked, or does not know. Says which, and why."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """`exists` False: there is no such name (NXDOMAIN). `ttl` in seconds."""

    found: tuple[str, ...]
    ttl: float
    exists: bool = True


@dataclass(frozen=True, slots=True)
class Service:
    """One SRV record (RFC 2782)."""

    target: str
    port: int
    priority: int = 0
    weight: int = 0


@dataclass(frozen=True, slots=True)
class Services:
    """`beside` are addresses of targets that came with the answer; what is absent there may exist."""

    found: tuple[Service, ...]
    ttl: float
    exists: bool = True
    beside: Mapping[tuple[str, Kind], tuple[str, ...]] = field(default_factory=dict)


class Questions(Protocol):
    """Both raise QuestionFailed; that there is nothing is an answer."""

    async def addresses(self, name: str, kind: Kind) -> Addresses: ...
    async def services(self, name: str) -> Services: ...


@dataclass(frozen=True, slots=True)
class Lookup:
    endpoints: tuple[Endpoint, ...]
    ttl: float
    hint: str = ""


def of_addresses(name: str, port: int, answer: Addresses) -> Lookup:
    """The endpoints of a name's addresses, in an order of their own: servers rotate theirs."""
    addresses = sorted(set(answer.found))
    hint = ""
    if not addresses:
        hint = f"{name} has no addresses." if answer.exists else f"{name} does not exist."
    elif len(addresses) == 1:
        hint = NOT_HEADLESS.format(name=name)
    return Lookup(tuple(Endpoint(join(address, port)) for address in addresses), answer.ttl, hint)


def of_services(name: str, answer: Services, addresses: Mapping[str, Addresses], failures: Sequence[str]) -> Lookup:
    """The endpoints of SRV records: their priority and weight, a weight of 0 counting as 1.

    A record that says port 0 or has no addresses is left out and named; of an endpoint that is there twice, the record
    that is to be preferred counts. `failures` are sentences about targets that could not be asked for.
    """
    if not answer.found:
        said = f"{name} has no SRV records" if answer.exists else f"{name} does not exist"
        return Lookup((), answer.ttl, f"{said}; with a port in the target the addresses of the name count.")
    remarks: list[str] = []
    merged: dict[str, Endpoint] = {}
    for service in sorted(answer.found, key=lambda known: (known.priority, -known.weight, known.target, known.port)):
        known = addresses.get(service.target)
        if service.port == 0:
            remarks.append(f"The SRV record of {service.target} says port 0 and is left out.")
            continue
        if known is not None and not known.found:
            remarks.append(f"{service.target}, which an SRV record names, has no addresses.")
        for address in sorted(known.found) if known else ():
            joined = join(address, service.port)
            merged.setdefault(joined, Endpoint(joined, max(service.weight, 1), priority=service.priority))
    ttl = min([answer.ttl, *(known.ttl for known in addresses.values()), *([RETRY_TTL] if failures else [])])
    hint = " ".join(dict.fromkeys((*remarks, *failures)))
    return Lookup(tuple(merged.values()), ttl, hint)
