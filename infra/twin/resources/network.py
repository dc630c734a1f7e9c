"""Networks, subnetworks, firewalls and security policies: kept, so that what refers to them finds them.

Firewalls may have a say in the traffic (`infra.twin.front_end.firewall`); the others have none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from infra.twin.discovery.body import Fault
from infra.twin.resources.key import Key
from infra.twin.resources.kind import Json, Kind, Reference, Subject, invalid
from infra.twin.resources.values import Rule, check_values

LOWEST_PRIORITY = 2147483647

_PROTOCOL = re.compile(r"(?i:all|tcp|udp|icmp|esp|ah|ipip|sctp)|[0-9]{1,3}")
_PORTS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


def _complete_network(subject: Subject) -> Json:
    resource = subject.resource
    resource.setdefault("autoCreateSubnetworks", True)
    resource.setdefault("routingConfig", {"routingMode": "REGIONAL"})
    return resource


def _complete_subnetwork(subject: Subject) -> Json:
    resource = subject.resource
    resource.setdefault("purpose", "PRIVATE")
    resource.setdefault("privateIpGoogleAccess", False)
    resource["region"] = str(Key(subject.key.project, "", "regions", subject.key.location))
    return resource


def _complete_firewall(subject: Subject) -> Json:
    resource = subject.resource
    resource.setdefault("direction", "INGRESS")
    resource.setdefault("priority", 1000)
    resource.setdefault("disabled", False)
    resource.setdefault("network", str(Key(subject.key.project, "global", "networks", "default")))
    resource.setdefault("logConfig", {"enable": False})
    return resource


def source_range(text: str) -> IPv4Network | IPv6Network:
    """A range of addresses, or one address. ValueError."""
    return ip_network(text, strict=False)


def port_range(text: str) -> tuple[int, int]:
    """(first, last) of `22` or `8000-8010`. ValueError."""
    found = _PORTS.fullmatch(text)
    first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
    if not first <= last <= 65535:
        raise ValueError(text)
    return first, last


def _is(read: Callable[[str], object]) -> Callable[[str], bool]:
    def can_be_read(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return can_be_read


_ENTRIES = ("allowed[]", "denied[]")
_FIREWALL_RULES = (
    Rule("sourceRanges[]", _is(source_range), "Must be a range of addresses such as 35.191.0.0/16."),
    *(Rule(f"{entry}.ports[]", _is(port_range), "Must be a port or a range such as 8000-8010.") for entry in _ENTRIES),
    *(
        Rule(f"{entry}.IPProtocol", lambda name: _PROTOCOL.fullmatch(name) is not None, "Must be a protocol.")
        for entry in _ENTRIES
    ),
)


def _check_firewall(subject: Subject) -> Iterable[Fault]:
    resource = subject.resource
    if ("allowed" in resource) == ("denied" in resource):
        yield invalid("allowed", "", "Either allowed or denied is needed.")
    if not 0 <= resource["priority"] <= 65535:
        yield invalid("priority", resource["priority"], "Must be between 0 and 65535.")
    yield from check_values(resource, _FIREWALL_RULES)


def _complete_policy(subject: Subject) -> Json:
    resource = subject.resource
    resource.setdefault("type", "CLOUD_ARMOR")
    rules = list(resource.get("rules", ()))
    if not any(rule.get("priority") == LOWEST_PRIORITY for rule in rules):
        everyone = {"versionedExpr": "SRC_IPS_V1", "config": {"srcIpRanges": ["*"]}}
        rules.append({"priority": LOWEST_PRIORITY, "action": "allow", "match": everyone, "preview": False})
    resource["rules"] = rules
    return resource


NETWORK = Kind(
    methods="networks",
    collection="networks",
    schema="Network",
    fixed=("autoCreateSubnetworks",),
    complete=_complete_network,
)
SUBNETWORK = Kind(
    methods="subnetworks",
    collection="subnetworks",
    schema="Subnetwork",
    level="regions",
    references=(Reference("network", ("networks",)),),
    required=("network", "ipCidrRange"),
    fixed=("network", "ipCidrRange"),
    fingerprint=True,
    complete=_complete_subnetwork,
)
FIREWALL = Kind(
    methods="firewalls",
    collection="firewalls",
    schema="Firewall",
    references=(Reference("network", ("networks",)),),
    fixed=("network", "direction"),
    complete=_complete_firewall,
    check=_check_firewall,
)
SECURITY_POLICY = Kind(
    methods="securityPolicies",
    collection="securityPolicies",
    schema="SecurityPolicy",
    fixed=("type",),
    fingerprint=True,
    labels=True,
    complete=_complete_policy,
)
