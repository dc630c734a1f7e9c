"""Certificates, given or managed. A managed one waits for names to point here, which no name of a twin does."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime

import tidegate_core
from infra.twin.discovery.body import Fault
from infra.twin.resources.kind import Json, Kind, Subject, invalid

MOST_DOMAINS = 100


def _complete(subject: Subject) -> Json:
    resource = subject.resource
    given = resource.get("selfManaged") or {}
    if resource.get("type") == "MANAGED":
        managed = dict(resource.get("managed") or {})
        managed.setdefault("status", "PROVISIONING")
        managed.setdefault("domainStatus", dict.fromkeys(managed.get("domains", ()), "PROVISIONING"))
        resource["managed"] = managed
        return resource
    resource["type"] = "SELF_MANAGED"
    for name in ("certificate", "privateKey"):
        if name in given:
            resource.setdefault(name, given[name])
    if "certificate" in resource:
        resource["selfManaged"] = {"certificate": resource["certificate"]}
    try:
        facts = json.loads(tidegate_core.check_key_pair(resource["certificate"], resource["privateKey"]))
    except (KeyError, ValueError):
        return resource
    resource["expireTime"] = datetime.fromtimestamp(facts["not_after"], UTC).isoformat(timespec="milliseconds")
    resource["subjectAlternativeNames"] = facts["names"]
    return resource


def _check(subject: Subject) -> Iterable[Fault]:
    resource = subject.resource
    if resource["type"] == "MANAGED":
        domains = resource["managed"].get("domains", ())
        if not 1 <= len(domains) <= MOST_DOMAINS:
            yield invalid("managed.domains", len(domains), f"Between 1 and {MOST_DOMAINS} domains are needed.")
        return
    for name in ("certificate", "privateKey"):
        if not resource.get(name):
            yield Fault(f"resource.{name}", f"Required field 'resource.{name}' not specified", "required")
            return
    try:
        tidegate_core.check_key_pair(resource["certificate"], resource["privateKey"])
    except ValueError as error:
        yield Fault("resource.certificate", f"The SSL certificate could not be parsed: {error}.")


CERTIFICATE = Kind(
    methods="sslCertificates",
    collection="sslCertificates",
    schema="SslCertificate",
    secret=("privateKey", "selfManaged.privateKey"),
    complete=_complete,
    check=_check,
)
