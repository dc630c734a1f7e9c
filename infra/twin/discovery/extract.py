"""Takes what the twin needs from the discovery document that google-api-python-client ships.

    python -m infra.twin.discovery.extract      writes compute.v1.json beside this file

Kept are the methods of `COLLECTIONS`, and of every schema that they reach types, formats, enums, patterns and what is
output only: a thirtieth of the whole, which is five megabytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

COLLECTIONS = (
    "backendServices",
    "firewalls",
    "globalAddresses",
    "globalForwardingRules",
    "globalOperations",
    "healthChecks",
    "networkEndpointGroups",
    "networks",
    "projects",
    "regionOperations",
    "regions",
    "securityPolicies",
    "sslCertificates",
    "subnetworks",
    "targetHttpProxies",
    "targetHttpsProxies",
    "urlMaps",
    "zoneOperations",
    "zones",
)
"""The document's names of collections."""

AGGREGATED = {"addresses": ("aggregatedList",), "forwardingRules": ("aggregatedList",)}
"""Of these collections, whose resources are regional, only the list over all scopes."""

TARGET = Path(__file__).with_name("compute.v1.json")

_OUTPUT_ONLY = re.compile(r"\s*(?:\[Output Only\]|Output only\b)", re.IGNORECASE)
_SCHEMA_KEYS = ("type", "format", "enum", "pattern", "default", "$ref", "minimum", "maximum")

Json = dict[str, Any]


def extract(document: Mapping[str, Any]) -> Json:
    """The part of a discovery document that the twin reads, in its shape."""
    methods: dict[str, Json] = {}
    chosen = dict.fromkeys(COLLECTIONS) | AGGREGATED
    for collection, only in chosen.items():
        for name, method in document["resources"][collection]["methods"].items():
            if only is None or name in only:
                methods[method["id"].removeprefix("compute.")] = _method(method)
    schemas: dict[str, Json] = {}
    wanted = {name for method in methods.values() for name in (method.get("request"), method.get("response")) if name}
    while wanted:
        name = wanted.pop()
        schemas[name] = _schema(document["schemas"][name])
        wanted |= set(_references(schemas[name])) - set(schemas)
    return {
        "revision": document["revision"],
        "methods": dict(sorted(methods.items())),
        "schemas": dict(sorted(schemas.items())),
    }


def _method(method: Mapping[str, Any]) -> Json:
    parameters = {
        name: {key: parameter[key] for key in ("location", "required", "type", *_SCHEMA_KEYS) if key in parameter}
        for name, parameter in method.get("parameters", {}).items()
    }
    kept: Json = {"verb": method["httpMethod"], "path": method["path"], "parameters": parameters}
    for side in ("request", "response"):
        if side in method:
            kept[side] = method[side]["$ref"]
    return kept


def _schema(schema: Mapping[str, Any]) -> Json:
    kept: Json = {key: schema[key] for key in _SCHEMA_KEYS if key in schema}
    if schema.get("readOnly") or _OUTPUT_ONLY.match(schema.get("description", "")):
        kept["readOnly"] = True
    required = schema.get("annotations", {}).get("required")
    if required:
        kept["requiredBy"] = [method.removeprefix("compute.") for method in required]
    if "items" in schema:
        kept["items"] = _schema(schema["items"])
    if "additionalProperties" in schema:
        kept["additionalProperties"] = _schema(schema["additionalProperties"])
    if "properties" in schema:
        kept["properties"] = {name: _schema(member) for name, member in schema["properties"].items()}
    return kept


def _references(schema: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in schema:
        yield schema["$ref"]
    for part in ("items", "additionalProperties"):
        if part in schema:
            yield from _references(schema[part])
    for member in schema.get("properties", {}).values():
        yield from _references(member)


def google_document() -> Json:
    """The whole document, from google-api-python-client. ModuleNotFoundError: it is not installed."""
    documents = resources.files("googleapiclient.discovery_cache.documents")
    document: Json = json.loads(documents.joinpath("compute.v1.json").read_text())
    return document


def text(extracted: Mapping[str, Any]) -> str:
    """As it is written: a line for each method and schema, so that a new revision shows as a small difference."""
    lines = [f'{{"revision": {json.dumps(extracted["revision"])},']
    for part in ("methods", "schemas"):
        members = extracted[part].items()
        lines.append(f'"{part}": {{')
        lines.append(",\n".join(f"{json.dumps(name)}: {json.dumps(member)}" for name, member in members))
        lines.append("}," if part == "methods" else "}}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(extract(google_document())))
