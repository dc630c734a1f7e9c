"""Zonal network endpoint groups. The endpoints themselves are kept beside them (`infra.twin.world`)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from infra.twin.discovery.body import Fault
from infra.twin.resources.key import Key
from infra.twin.resources.kind import Json, Kind, Reference, Subject, invalid

_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
"""Google's document says no pattern for these alone."""

TYPES = ("GCE_VM_IP_PORT", "NON_GCP_PRIVATE_IP_PORT")


def _complete(subject: Subject) -> Json:
    resource = subject.resource
    resource.setdefault("networkEndpointType", "GCE_VM_IP_PORT")
    resource.setdefault("network", str(Key(subject.key.project, "global", "networks", "default")))
    resource.setdefault("description", "")
    resource["zone"] = str(Key(subject.key.project, "", "zones", subject.key.location))
    return resource


def _check(subject: Subject) -> Iterable[Fault]:
    resource = subject.resource
    if not _NAME.fullmatch(subject.key.name):
        yield invalid("name", subject.key.name[:200], f"Must be a match of regex '{_NAME.pattern}'.")
    if resource["networkEndpointType"] not in TYPES:
        message = f"The twin's groups are zonal: {' or '.join(TYPES)}."
        yield invalid("networkEndpointType", resource["networkEndpointType"], message)
    port = resource.get("defaultPort", 1)
    if not 1 <= port <= 65535:
        yield invalid("defaultPort", port, "Must be between 1 and 65535.")


ENDPOINT_GROUP = Kind(
    methods="networkEndpointGroups",
    collection="networkEndpointGroups",
    schema="NetworkEndpointGroup",
    level="zones",
    references=(Reference("network", ("networks",)), Reference("subnetwork", ("subnetworks",))),
    complete=_complete,
    check=_check,
)
