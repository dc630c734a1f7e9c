"""Certificates, given or managed. A managed one has no key until the twin's authority has signed it (`issued`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import tidegate_core
from infra.twin.discovery.body import Fault
from infra.twin.resources.kind import Json, Kind, Subject, invalid
from infra.twin.resources.values import check_values, domain

MOST_DOMAINS = 100

_RULES = (domain("managed.domains[]"),)


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
        return resource | _facts(resource["certificate"], resource["privateKey"])
    except (KeyError, ValueError):
        return resource


def _facts(chain: str, key: str) -> Json:
    """What is read from a certificate. ValueError: the key is not its."""
    facts = json.loads(tidegate_core.check_key_pair(chain, key))
    expires = datetime.fromtimestamp(facts["not_after"], UTC)
    return {
        "expireTime": expires.isoformat(timespec="milliseconds"),
        "subjectAlternativeNames": facts["names"],
    }


def domains(resource: Mapping[str, Any]) -> Sequence[str]:
    """The host names of a managed certificate, without the final dot that they may be given with, each once."""
    given = (resource.get("managed") or {}).get("domains", ())
    return tuple(dict.fromkeys(name.removesuffix(".").lower() for name in given))


def issued(resource: Mapping[str, Any], chain: str, key: str) -> Json:
    """A managed certificate once it is signed: ACTIVE with all its domains."""
    managed = dict(resource["managed"])
    managed |= {"status": "ACTIVE", "domainStatus": dict.fromkeys(managed["domains"], "ACTIVE")}
    return {**resource, "managed": managed, "certificate": chain, "privateKey": key, **_facts(chain, key)}


def _check(subject: Subject) -> Iterable[Fault]:
    resource = subject.resource
    if resource["type"] == "MANAGED":
        yield from _check_managed(resource)
        return
    for name in ("certificate", "privateKey"):
        if not resource.get(name):
            yield Fault(f"resource.{name}", f"Required field 'resource.{name}' not specified", "required")
            return
    try:
        tidegate_core.check_key_pair(resource["certificate"], resource["privateKey"])
    except ValueError as error:
        yield Fault("resource.certificate", f"The SSL certificate could not be parsed: {error}.")


def _check_managed(resource: Json) -> Iterable[Fault]:
    given = resource["managed"].get("domains", ())
    if not 1 <= len(given) <= MOST_DOMAINS:
        yield invalid("managed.domains", len(given), f"Between 1 and {MOST_DOMAINS} domains are needed.")
    yield from check_values(resource, _RULES)
    for name in ("certificate", "privateKey", "selfManaged"):
        if resource.get(name):
            message = f"Invalid value for field 'resource.{name}'. A managed certificate is signed for you; give none."
            yield Fault(f"resource.{name}", message)


CERTIFICATE = Kind(
    methods="sslCertificates",
    collection="sslCertificates",
    schema="SslCertificate",
    secret=("privateKey", "selfManaged.privateKey"),
    complete=_complete,
    check=_check,
)
