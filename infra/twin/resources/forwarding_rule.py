"""Global forwarding rules: an address and a port, and the proxy that answers there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from infra.twin.discovery.body import Fault
from infra.twin.resources.address import allocate
from infra.twin.resources.key import Key, parse
from infra.twin.resources.kind import Json, Kind, Reference, Subject, View, invalid
from infra.twin.resources.paths import find
from infra.twin.resources.url_map import URL_MAP

_PORTS = {"targetHttpProxies": (80, 8080), "targetHttpsProxies": (443,)}


def _complete(subject: Subject) -> Json:
    resource = subject.resource
    for name, value in (
        ("IPProtocol", "TCP"),
        ("loadBalancingScheme", "EXTERNAL"),
        ("networkTier", "PREMIUM"),
        ("description", ""),
    ):
        resource.setdefault(name, value)
    resource["IPAddress"] = _number(subject)
    ports = str(resource.get("portRange", ""))
    if re.fullmatch(r"[0-9]{1,5}", ports):
        resource["portRange"] = f"{ports}-{ports}"
    return resource


def _number(subject: Subject) -> str:
    """The address as a number: that of the resource which is referred to, or the next free one; `` if there is none."""
    resource = subject.resource
    given = resource.get("IPAddress", "")
    if not given:
        return allocate(subject.view, subject.key.project, resource.get("ipVersion", "IPV4")) or ""
    try:
        return str(ipaddress.ip_address(given))
    except ValueError:
        pass
    try:
        address = subject.view.get(parse(given if "/" in given else f"global/addresses/{given}", subject.key.project))
    except ValueError:
        return str(given)
    return str(address["address"]) if address else str(given)


def _check(subject: Subject) -> Iterable[Fault]:
    resource = subject.resource
    number = resource["IPAddress"]
    try:
        ipaddress.ip_address(number)
    except ValueError:
        yield invalid("IPAddress", number, "It is neither an IP address nor an address that there is.")
    if resource["IPProtocol"] != "TCP":
        yield invalid("IPProtocol", resource["IPProtocol"], "A global rule of a target proxy is TCP.")
    target = parse(resource["target"], subject.key.project)
    ports = resource.get("portRange", "")
    allowed = _PORTS.get(target.collection, ())
    if ports not in {f"{port}-{port}" for port in allowed}:
        named = " or ".join(str(port) for port in allowed)
        yield invalid("portRange", ports, f"A rule of {target.collection} has port {named}.")
    for other, known in subject.view.of(subject.key.project, "forwardingRules"):
        if other != subject.key and known["IPAddress"] == number and known.get("portRange") == ports:
            message = "Specified IP address is in-use and would result in a conflict."
            yield invalid("IPAddress", number, message)
    for service, scheme in _schemes(target, subject.key.project, subject.view):
        if scheme != resource["loadBalancingScheme"]:
            message = f"It is not that of the backend service '{service}', {scheme}."
            yield invalid("loadBalancingScheme", resource["loadBalancingScheme"], message)


def _schemes(target: Key, project: str, view: View) -> Iterable[tuple[Key, str]]:
    """The backend services behind a proxy, and their schemes."""
    proxy = view.get(target) or {}
    if "urlMap" not in proxy:
        return
    url_map = view.get(parse(proxy["urlMap"], project)) or {}
    named = {value for reference in URL_MAP.references for _, value in find(url_map, reference.pattern)}
    for service in sorted(named):
        key = parse(service, project)
        known = view.get(key)
        if known:
            yield key, known["loadBalancingScheme"]


FORWARDING_RULE = Kind(
    methods="globalForwardingRules",
    collection="forwardingRules",
    schema="ForwardingRule",
    references=(
        Reference("target", ("targetHttpProxies", "targetHttpsProxies")),
        Reference("network", ("networks",)),
        Reference("subnetwork", ("subnetworks",)),
    ),
    required=("target",),
    fixed=("IPAddress", "IPProtocol", "portRange", "loadBalancingScheme", "networkTier", "ipVersion"),
    fingerprint=True,
    optional=True,
    labels=True,
    complete=_complete,
    check=_check,
)
