"""Endpoints of zonal groups: attach, detach, list."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from infra.twin.discovery.body import Fault
from infra.twin.refused import bad_request
from infra.twin.resources.key import Key
from infra.twin.resources.kind import invalid
from infra.twin.world import Change, Endpoint, World

Json = dict[str, Any]

MOST_AT_ONCE = 500
"""Of one request (Google's quota)."""

NOT_OF_ZONAL_GROUPS = ("clientDestinationPort", "fqdn", "ipv6Address")

MOST_ENDPOINTS = 10_000
"""Of one group (Google's limit)."""

_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")


def attach(world: World, key: Key, body: Mapping[str, Any]) -> Change:
    """Endpoints that are there already stay as they are. Refused: one of them is not of the group's type."""
    group = world.resources[key]
    attached = tuple(_read(world, key, body))
    if len({*world.endpoints.get(key, ()), *attached}) > MOST_ENDPOINTS:
        raise bad_request([invalid("networkEndpoints", len(attached), f"A group has at most {MOST_ENDPOINTS}.")])
    return Change(key, group, attached=attached)


def detach(world: World, key: Key, body: Mapping[str, Any]) -> Change:
    """Refused: one of them is not there."""
    members = world.endpoints.get(key, {})
    wanted = tuple(_read(world, key, body, strict=False))
    found = []
    faults = []
    for index, endpoint in enumerate(wanted):
        at = [known for known in members if _is_same(known, endpoint)]
        found += at
        if not at:
            place = f"networkEndpoints[{index}]"
            faults.append(invalid(place, endpoint.ip_address, "The network endpoint is not in the group."))
    if faults:
        raise bad_request(faults)
    return Change(key, world.resources[key], detached=tuple(found))


def _is_same(known: Endpoint, named: Endpoint) -> bool:
    same_instance = not named.instance or known.instance == named.instance
    return (known.ip_address, known.port) == (named.ip_address, named.port) and same_instance


def _read(world: World, key: Key, body: Mapping[str, Any], *, strict: bool = True) -> Iterator[Endpoint]:
    group = world.resources[key]
    entries = body.get("networkEndpoints") or []
    if not entries:
        message = "Required field 'resource.networkEndpoints' not specified"
        raise bad_request([Fault("resource.networkEndpoints", message, "required")])
    if len(entries) > MOST_AT_ONCE:
        raise bad_request([invalid("networkEndpoints", len(entries), f"At most {MOST_AT_ONCE} at once.")])
    faults: list[Fault] = []
    for index, entry in enumerate(entries):
        place = f"networkEndpoints[{index}]"
        address, port = entry.get("ipAddress", ""), entry.get("port", group.get("defaultPort", 0))
        instance = str(entry.get("instance", "")).rpartition("/")[2]
        try:
            number = ipaddress.ip_address(address)
        except ValueError:
            faults.append(invalid(f"{place}.ipAddress", address, "Must be an IP address."))
        else:
            address = str(number)
            if isinstance(number, ipaddress.IPv6Address) and number.scope_id is not None:
                faults.append(invalid(f"{place}.ipAddress", address, "Must be an IP address without a zone."))
        if not 1 <= port <= 65535:
            message = "Must be between 1 and 65535; the group has no default port."
            faults.append(invalid(f"{place}.port", port, message))
        if strict:
            faults += _instance_faults(group["networkEndpointType"], instance, place)
            faults += (
                invalid(f"{place}.{name}", entry[name], f"Endpoints of the twin have no {name}.")
                for name in NOT_OF_ZONAL_GROUPS
                if name in entry
            )
        yield Endpoint(address, port, instance)
    if faults:
        raise bad_request(faults)


def _instance_faults(kind: str, instance: str, place: str) -> Iterator[Fault]:
    if kind == "GCE_VM_IP_PORT" and not instance:
        name = f"resource.{place}.instance"
        yield Fault(name, f"Required field '{name}' not specified", "required")
    if kind != "GCE_VM_IP_PORT" and instance:
        yield invalid(f"{place}.instance", instance, f"Endpoints of type {kind} have no instance.")
    if instance and not _NAME.fullmatch(instance):
        yield invalid(f"{place}.instance", instance, "Must be a name after RFC 1035.")
