"""From what stands in a registry to endpoints. Pure: no clock, no I/O.

Whoever registers a server may write anything. An entry that cannot be used is left out and named; the rest serves.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.discover.address import is_ip, join
from gateway.discover.source import Endpoint, Found

LARGEST_WEIGHT = 65535
"""Consul's limit; sums over many endpoints stay within 32 bits."""
LARGEST_PRIORITY = 65535
LONGEST_ZONE = 128
SHOWN = 3
"""Entries that a hint names; of the others it says how many there are."""

WHOLE_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)
HOST = re.compile(r"[A-Za-z0-9_.:-]{1,253}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Entry:
    """A server as registered under `name`; `host` is an IP address or a name."""

    name: str
    host: str
    port: int
    weight: int = 1
    zone: str = ""
    priority: int = 0
    metadata: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is registered under `name` cannot be used; `reason` says why."""

    name: str
    reason: str


Read = Entry | LeftOut
Addresses = Mapping[str, Sequence[str]]
"""The IP addresses of each host name; none: it cannot be resolved."""


class Unusable(ValueError):
    """Says what is wrong with a part of an entry."""


def read_port(value: object) -> int:
    """1 to 65535. Raises Unusable."""
    return _whole(value, "port", 1, 65535)


def read_weight(value: object) -> int:
    """1 to 65535; None means 1. Raises Unusable."""
    return 1 if value is None else _whole(value, "weight", 1, LARGEST_WEIGHT)


def read_priority(value: object) -> int:
    """0, which comes first, to 65535; None means 0. Raises Unusable."""
    return 0 if value is None else _whole(value, "priority", 0, LARGEST_PRIORITY)


def read_zone(value: object) -> str:
    """Text; None means "". Raises Unusable."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > LONGEST_ZONE or not value.isprintable():
        raise Unusable(f"its zone is {_shown(value)}, not a short text")
    return value


def read_host(value: object) -> str:
    """An IP address or a host name. Raises Unusable."""
    if not isinstance(value, str) or not HOST.fullmatch(value) or (":" in value and not is_ip(value)):
        raise Unusable(f"{_shown(value)} is no host")
    return value


def text_pairs(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """As an endpoint's metadata: text stays, anything else becomes JSON."""
    return tuple((key, value if isinstance(value, str) else json.dumps(value)) for key, value in values.items())


def host_names(read: Sequence[Read]) -> tuple[str, ...]:
    """The hosts that are no addresses, once each."""
    return tuple(dict.fromkeys(one.host for one in read if isinstance(one, Entry) and not is_ip(one.host)))


def merge(target: str, read: Sequence[Read], addresses: Addresses) -> Found:
    """The endpoints of `target`, whose entries were `read`; `addresses` has all of their `host_names`.

    Of entries of one address the first counts. One that says otherwise (weight, zone, priority) is named.
    """
    endpoints: dict[str, Endpoint] = {}
    left_out: list[LeftOut] = []
    for one in read:
        if isinstance(one, LeftOut):
            left_out.append(one)
            continue
        known = addresses.get(one.host, (one.host,))
        if not known:
            left_out.append(LeftOut(one.name, f"{one.host} cannot be resolved"))
        for host in known:
            address = join(host, one.port)
            endpoint = Endpoint(address, one.weight, one.zone, one.priority, one.metadata)
            before = endpoints.setdefault(address, endpoint)
            if before is not endpoint and _traffic(before) != _traffic(endpoint):
                left_out.append(LeftOut(one.name, f"{address} is registered before with another weight or place"))
    return Found(tuple(endpoints.values()), hint(target, left_out))


def hint(target: str, left_out: Sequence[LeftOut]) -> str:
    """Names the first few of what was left out; "" where nothing was."""
    if not left_out:
        return ""
    named = "; ".join(f"{_shown(one.name)}: {one.reason}" for one in left_out[:SHOWN])
    more = f"; and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
    return f"{target} has entries that are left out: {named}{more}."


def _traffic(endpoint: Endpoint) -> tuple[int, str, int]:
    return endpoint.weight, endpoint.zone, endpoint.priority


def _whole(value: object, what: str, least: int, most: int) -> int:
    number = -1
    if isinstance(value, str) and WHOLE_NUMBER.fullmatch(value):
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, float) and value.is_integer():
        number = int(value)
    if not least <= number <= most:
        raise Unusable(f"its {what} is {_shown(value)}, not a whole number from {least} to {most}")
    return number


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
