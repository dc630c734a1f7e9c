"""Networks, subnetworks, firewalls and security policies: kept, so that what refers to them finds them; no more."""

from __future__ import annotations

from collections.abc import Iterable

from infra.twin.discovery.body import Fault
from infra.twin.resources.key import Key
from infra.twin.resources.kind import Json, Kind, Reference, Subject, invalid

LOWEST_PRIORITY = 2147483647


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


def _check_firewall(subject: Subject) -> Iterable[Fault]:
    resource = subject.resource
    if ("allowed" in resource) == ("denied" in resource):
        yield invalid("allowed", "", "Either allowed or denied is needed.")
    if not 0 <= resource["priority"] <= 65535:
        yield invalid("priority", resource["priority"], "Must be between 0 and 65535.")


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
