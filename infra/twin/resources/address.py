"""Global addresses: numbers of the documentation networks, RFC 5737 and RFC 3849, so that none is anybody's."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from infra.twin.discovery.body import Fault
from infra.twin.resources.kind import Json, Kind, Subject, View, invalid

NETWORK_V4 = ipaddress.ip_network("203.0.113.0/24")
NETWORK_V6 = ipaddress.ip_network("2001:db8::/32")


def taken(project_view: View, project: str) -> set[str]:
    """Numbers that an address or a forwarding rule has."""
    addresses = {resource.get("address") for _, resource in project_view.of(project, "addresses")}
    rules = {resource.get("IPAddress") for _, resource in project_view.of(project, "forwardingRules")}
    return {str(number) for number in addresses | rules if number}


def allocate(view: View, project: str, version: str) -> str | None:
    """The lowest number that is free; None: all are taken."""
    used = taken(view, project)
    network = NETWORK_V6 if version == "IPV6" else NETWORK_V4
    candidates = (str(network[index]) for index in range(1, 255))
    return next((number for number in candidates if number not in used), None)


def _complete(subject: Subject) -> Json:
    resource = subject.resource
    resource.setdefault("addressType", "EXTERNAL")
    resource.setdefault("ipVersion", "IPV4")
    resource.setdefault("networkTier", "PREMIUM")
    resource.setdefault("description", "")
    if "address" not in resource:
        number = allocate(subject.view, subject.key.project, resource["ipVersion"])
        if number is not None:
            resource["address"] = number
    return resource


def _check(subject: Subject) -> Iterable[Fault]:
    resource = subject.resource
    if resource["addressType"] != "EXTERNAL":
        yield invalid("addressType", resource["addressType"], "The twin has external global addresses only.")
    if "address" not in resource:
        yield Fault("resource.address", "Quota 'STATIC_ADDRESSES' exceeded. Limit: 254.0 globally.", "quotaExceeded")
        return
    try:
        number = ipaddress.ip_address(resource["address"])
    except ValueError:
        yield invalid("address", resource["address"], "Must be an IP address.")
        return
    if number not in (NETWORK_V6 if number.version == 6 else NETWORK_V4):
        yield invalid("address", number, f"The twin's addresses are of {NETWORK_V4} and {NETWORK_V6}.")
    others = (
        other
        for other, known in subject.view.of(subject.key.project, "addresses")
        if known.get("address") == str(number)
    )
    if any(other != subject.key for other in others):
        yield invalid("address", number, "Specified IP address is already reserved.")


ADDRESS = Kind(
    methods="globalAddresses",
    collection="addresses",
    schema="Address",
    fixed=("address", "addressType", "ipVersion", "networkTier"),
    labels=True,
    complete=_complete,
    check=_check,
)
