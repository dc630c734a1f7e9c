"""From Consul's answer about a service to entries, and which index to ask with next. Pure.

Sources: Consul's HTTP API, "Health" (list service instances) and "Blocking queries".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.discover.registry.entries import (
    Entry,
    LeftOut,
    Read,
    Unusable,
    read_host,
    read_port,
    read_priority,
    read_weight,
    read_zone,
    text_pairs,
)


def next_index(asked: int, answered: str | None) -> int:
    """The index of the next blocking query after one with `asked` (0: not blocking) that was answered with `answered`.

    An index that goes backwards means that the servers' state was restored or lost: all starts anew, with 0. An index
    below 1 is a mistake of the server that would make us ask in a busy loop: 1 is always safe.
    """
    given = int(answered) if answered is not None and answered.isascii() and answered.isdigit() else 0
    return 0 if given < asked else max(given, 1)


def read(instances: object) -> tuple[Read, ...]:
    """The instances that may serve; of those with a failed check none. ValueError: it is no list of instances."""
    if not isinstance(instances, list):
        raise ValueError("no list of instances")
    return tuple(one for one in map(_read_one, instances) if one is not None)


def _read_one(instance: object) -> Read | None:
    members = _mapping(instance)
    service, node = _mapping(members.get("Service")), _mapping(members.get("Node"))
    name = str(service.get("ID") or service.get("Service") or node.get("Node") or "?")
    status = _status(members.get("Checks"))
    if status == "critical":
        return None
    try:
        return _entry(name, status, service, node)
    except Unusable as error:
        return LeftOut(name, str(error))


def _entry(name: str, status: str, service: Mapping[str, Any], node: Mapping[str, Any]) -> Entry | None:
    meta = _mapping(service.get("Meta"))
    weights = _mapping(service.get("Weights"))
    weight = weights.get("Warning" if status == "warning" else "Passing")
    if status == "warning" and weight == 0:
        return None
    zone = _mapping(service.get("Locality")).get("Zone") or meta.get("zone") or _mapping(node.get("Meta")).get("zone")
    return Entry(
        name=name,
        host=read_host(service.get("Address") or node.get("Address")),
        port=read_port(service.get("Port") or 0),
        weight=read_weight(weight),
        zone=read_zone(zone),
        priority=read_priority(meta.get("priority")),
        metadata=text_pairs(meta),
    )


def _status(checks: object) -> str:
    """The worst of an instance's checks: `passing`, `warning` or `critical`."""
    statuses = [_mapping(check).get("Status") for check in checks] if isinstance(checks, list) else []
    return next((status for status in ("critical", "warning") if status in statuses), "passing")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
