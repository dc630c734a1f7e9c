"""EndpointSlices, Endpoints and Services, reduced to what discovery needs of them. Pure.

The fields are those of the API reference of Kubernetes (`discovery.k8s.io/v1`, `v1`). What cannot be read is left out
and named in `problems`; nothing here raises.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Port:
    """`number` None: the slice leaves it open, which means all ports."""

    number: int | None
    name: str = ""
    app_protocol: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """One address that stands behind a Service. `identity` is the same for all addresses of a pod, "" if unknown."""

    address: str
    identity: str = ""
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    zone: str = ""
    for_zones: tuple[str, ...] = ()
    pod: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class Slice:
    """Members that share their ports."""

    name: str
    ports: tuple[Port, ...] = ()
    members: tuple[Member, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """`external_name` is the host name that a Service of that type stands for."""

    ports: tuple[Port, ...] = ()
    external_name: str = ""


def read_slice(document: Json) -> tuple[Slice, ...]:
    """An EndpointSlice of `discovery.k8s.io/v1`."""
    name = name_of(document)
    problems: list[str] = []
    members: list[Member] = []
    if document.get("addressType") in ("IPv4", "IPv6"):
        for entry in _mappings(document.get("endpoints")):
            try:
                members.append(_member(entry))
            except ValueError as error:
                problems.append(f"EndpointSlice {name}: {error}")
    else:
        problems.append(f"EndpointSlice {name} has addresses of the type {document.get('addressType')!r}, not IP.")
    return (Slice(name, _ports(document, f"EndpointSlice {name}", problems), tuple(members), tuple(problems)),)


def read_endpoints(document: Json) -> tuple[Slice, ...]:
    """Core `Endpoints`: each subset becomes a slice."""
    name = name_of(document)
    slices = []
    for index, subset in enumerate(_mappings(document.get("subsets"))):
        problems: list[str] = []
        members: list[Member] = []
        for field, ready in (("addresses", True), ("notReadyAddresses", False)):
            for entry in _mappings(subset.get(field)):
                try:
                    found = _member({**entry, "addresses": [entry.get("ip")]})
                except ValueError as error:
                    problems.append(f"Endpoints {name}: {error}")
                else:
                    # Of a pod that ends Endpoints say only that it is not ready.
                    members.append(found if ready else Member(found.address, found.identity, False, False))
        ports = _ports(subset, f"Endpoints {name}", problems)
        slices.append(Slice(f"{name}/{index}", ports, tuple(members), tuple(problems)))
    return tuple(slices)


def read_service(document: Json) -> Service:
    spec = _mapping(document.get("spec"))
    external = _text(spec.get("externalName")) if spec.get("type") == "ExternalName" else ""
    return Service(_ports(spec, "", []), external)


def name_of(document: Json) -> str:
    """ "" where the object has none."""
    return _text(_mapping(document.get("metadata")).get("name"))


def version_of(document: Json) -> str:
    """The object's or the list's `resourceVersion`; "" where there is none."""
    return _text(_mapping(document.get("metadata")).get("resourceVersion"))


def _member(entry: Json) -> Member:
    addresses = entry.get("addresses")
    # All addresses of an endpoint are alike and a consumer may use the first alone, says the API reference.
    given = addresses[0] if isinstance(addresses, list) and addresses else None
    try:
        address = ipaddress.ip_address(given if isinstance(given, str) else "")
    except ValueError:
        raise ValueError(f"{given!r} is no IP address.") from None
    if getattr(address, "scope_id", None) or address.is_unspecified or address.is_multicast:
        raise ValueError(f"{given} is no address of a server.")
    conditions = _mapping(entry.get("conditions"))
    # null: `ready` is to be taken for true, `serving` for what `ready` is.
    ready = conditions.get("ready") is not False
    serving = conditions.get("serving")
    topology = _mapping(entry.get("deprecatedTopology"))
    reference = _mapping(entry.get("targetRef"))
    return Member(
        str(address),
        identity=_identity(reference),
        ready=ready,
        serving=ready if serving is None else serving is True,
        terminating=conditions.get("terminating") is True,
        zone=_text(entry.get("zone")) or _text(topology.get("topology.kubernetes.io/zone")),
        for_zones=tuple(_text(hint.get("name")) for hint in _mappings(_mapping(entry.get("hints")).get("forZones"))),
        pod=_text(reference.get("name")) if reference.get("kind") == "Pod" else "",
        node=_text(entry.get("nodeName")),
    )


def _identity(reference: Json) -> str:
    parts = [_text(reference.get(field)) for field in ("kind", "namespace", "name")]
    return _text(reference.get("uid")) or ("/".join(parts) if parts[2] else "")


def _ports(holder: Json, where: str, problems: list[str]) -> tuple[Port, ...]:
    ports = []
    for entry in _mappings(holder.get("ports")):
        if entry.get("protocol") not in (None, "TCP"):
            continue
        name, number = _text(entry.get("name")), entry.get("port")
        if number is None or (type(number) is int and 0 < number < 65536):
            ports.append(Port(number, name, _text(entry.get("appProtocol"))))
        else:
            problems.append(f"{where}: {number!r} is no port number (port {name!r}).")
    return tuple(ports)


def _mappings(value: object) -> Iterator[Json]:
    for entry in value if isinstance(value, list) else ():
        if isinstance(entry, dict):
            yield entry


def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
