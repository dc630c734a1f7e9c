"""How servers stand in etcd: gRPC's naming layout. Pure.

A server of the service `PREFIX` is a key `PREFIX/anything` whose value is `{"Op":0,"Addr":"host:port","Metadata":...}`
(etcd's documentation, "gRPC naming and discovery"; `clientv3/naming/endpoints`). Where Metadata is an object, its
members `weight`, `zone` and `priority` count here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from gateway.discover.address import join, split
from gateway.discover.registry.entries import (
    Entry,
    LeftOut,
    Read,
    Unusable,
    read_host,
    read_priority,
    read_weight,
    read_zone,
    text_pairs,
)

ADD = 0
"""Op of a server that is there; 1 is one that is to be deleted."""


def prefix_range(prefix: str) -> tuple[bytes, bytes]:
    """The first key below `prefix`, and the first after all of them."""
    start = prefix.removesuffix("/").encode() + b"/"
    return start, start[:-1] + bytes([start[-1] + 1])


def read(key: bytes, value: bytes) -> Read:
    """One key's server."""
    name = key.decode(errors="replace")
    try:
        return _read(name, value)
    except Unusable as error:
        return LeftOut(name, str(error))


def write(host: str, port: int, metadata: Mapping[str, object]) -> bytes:
    """The value of a server's key."""
    members: dict[str, object] = {"Op": ADD, "Addr": join(host, port)}
    if metadata:
        members["Metadata"] = dict(metadata)
    return json.dumps(members).encode()


def _read(name: str, value: bytes) -> Entry:
    try:
        members = json.loads(value, parse_constant=str)
    except (ValueError, RecursionError):
        raise Unusable("its value is not JSON") from None
    if not isinstance(members, dict) or not isinstance(members.get("Addr"), str):
        raise Unusable('its value has no "Addr"')
    if members.get("Op", ADD) != ADD:
        raise Unusable("its Op says that it is deleted")
    try:
        host, port = split(members["Addr"])
    except ValueError:
        raise Unusable(f"its Addr {members['Addr'][:80]!r} is not host:port") from None
    metadata = members.get("Metadata")
    described = metadata if isinstance(metadata, dict) else {} if metadata is None else {"metadata": metadata}
    return Entry(
        name=name,
        host=read_host(host),
        port=port,
        weight=read_weight(described.get("weight")),
        zone=read_zone(described.get("zone")),
        priority=read_priority(described.get("priority")),
        metadata=text_pairs(described),
    )
