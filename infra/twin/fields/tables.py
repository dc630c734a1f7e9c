"""All tables, by schema and by kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from infra.twin.discovery.document import Document, Schema
from infra.twin.fields import address, backend_service, endpoint_group, health_check, kept, proxy, url_map
from infra.twin.fields.table import Handling, Table

KINDS: tuple[Table, ...] = (
    address.FORWARDING_RULE,
    address.ADDRESS,
    proxy.TARGET_HTTPS_PROXY,
    proxy.TARGET_HTTP_PROXY,
    proxy.CERTIFICATE,
    url_map.URL_MAP,
    backend_service.BACKEND_SERVICE,
    health_check.HEALTH_CHECK,
    endpoint_group.ENDPOINT_GROUP,
    endpoint_group.ENDPOINT,
    kept.NETWORK,
    kept.SUBNETWORK,
    kept.FIREWALL,
    kept.SECURITY_POLICY,
)
"""One for each kind of resource, in the order in which a request meets them; then what is only kept."""

_PARTS = (*proxy.CERTIFICATE_PARTS, *url_map.PARTS, *backend_service.PARTS, *health_check.SETTINGS)

BY_SCHEMA: Mapping[str, Table] = {table.schema: table for table in (*KINDS, *_PARTS)}


@dataclass(frozen=True, slots=True)
class Place:
    """A field of a resource at one of the places where it can stand, such as `("backends[]", "maxRate")`."""

    kind: Table
    table: Table
    path: tuple[str, ...]
    schema: Schema
    handling: Handling
    note: str
    has_parts: bool
    """Whether what is in it has a table of its own."""

    @property
    def name(self) -> str:
        return self.path[-1].removesuffix("[]")

    def __str__(self) -> str:
        return ".".join(self.path)


def places(document: Document, kind: Table) -> Iterator[Place]:
    """Every place of a kind's fields that tables tell apart; what is within another follows it."""
    yield from _places(document, kind, kind, ())


def _places(document: Document, kind: Table, table: Table, above: tuple[str, ...]) -> Iterator[Place]:
    properties = document.schemas[table.schema]["properties"]
    for name, handling, note in table.rows():
        schema = properties[name]
        listed = "items" in schema
        path = (*above, f"{name}[]" if listed else name)
        reference = (schema["items"] if listed else schema).get("$ref", "")
        below = BY_SCHEMA.get(reference) if handling in ("honoured", "stored") else None
        yield Place(kind, table, path, schema, handling, note, below is not None)
        if below is not None:
            yield from _places(document, kind, below, path)
