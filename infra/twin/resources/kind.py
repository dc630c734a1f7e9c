"""The shape of a kind of resource."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from infra.twin.discovery.body import Fault
from infra.twin.resources.key import Key

Json = dict[str, Any]


class View(Protocol):
    """What rules may look up: the resources as they are now, with references in stored form."""

    def get(self, key: Key) -> Mapping[str, Any] | None: ...
    def of(self, project: str, collection: str) -> Iterable[tuple[Key, Mapping[str, Any]]]: ...


@dataclass(frozen=True, slots=True)
class Subject:
    """A resource under its name, among the others. `resource` is a copy of its top level, which may be changed."""

    resource: Json
    key: Key
    view: View


Complete = Callable[[Subject], Json]
"""Fills in what a client left out, on insert and after each change."""

Check = Callable[[Subject], Iterable[Fault]]
"""What is wrong with a complete resource."""


@dataclass(frozen=True, slots=True)
class Reference:
    """`pattern` is a place in the resource (see `paths`), `collections` what may stand there."""

    pattern: str
    collections: tuple[str, ...]


def nothing_more(subject: Subject) -> Json:
    """For kinds without defaults."""
    return subject.resource


def no_rules(_: Subject) -> Iterable[Fault]:
    """For kinds whose schema says it all."""
    return ()


@dataclass(frozen=True, slots=True)
class Kind:
    """`methods` is the discovery document's collection, `collection` the one in URLs.

    `level` is `global`, `zones` or `regions`. `required` are places that have to be there, `fixed` those that only
    insert may set, `secret` those that are never answered with. `fingerprint`: there is one, and a PUT or PATCH without
    the newest is refused; `optional`: one that brings none is not.
    """

    methods: str
    collection: str
    schema: str
    level: str = "global"
    references: tuple[Reference, ...] = ()
    required: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    secret: tuple[str, ...] = ()
    fingerprint: bool = False
    optional: bool = False
    labels: bool = False
    complete: Complete = nothing_more
    check: Check = no_rules

    @property
    def discriminator(self) -> str:
        """The `kind` of an answer."""
        return f"compute#{self.schema[0].lower()}{self.schema[1:]}"


def invalid(field: str, value: object, message: str) -> Fault:
    """A fault in Google's words; `field` without `resource.`."""
    return Fault(f"resource.{field}", f"Invalid value for field 'resource.{field}': '{value}'. {message}")
