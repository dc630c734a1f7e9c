"""From a request to the change that it asks for: pure, so nothing has happened when it is refused.

PUT replaces, PATCH merges (RFC 7396: null removes, lists are replaced whole). Either way the whole is completed and
checked again, as an insert would be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from infra.twin.ahead import Ahead, ahead
from infra.twin.discovery.body import Checked, Fault, check
from infra.twin.discovery.document import Document
from infra.twin.fingerprint import fingerprint, is_same
from infra.twin.refused import (
    already_exists,
    bad_request,
    condition_not_met,
    in_use,
    invalid_body,
    not_found,
    not_ready,
    quota_exceeded,
)
from infra.twin.resources.key import Key, parse
from infra.twin.resources.kind import Kind, Subject, invalid
from infra.twin.resources.paths import find, replace
from infra.twin.world import Change, World

Json = dict[str, Any]

SERVER_FIELDS = ("id", "creationTimestamp", "status", "labels", "labelFingerprint", "securityPolicy", "zone", "region")
"""What a PUT leaves as it is, because clients cannot set it there."""

MOST_RESOURCES = 20_000
"""Of all projects together."""

_PACIFIC = timezone(timedelta(hours=-8))


@dataclass(frozen=True, slots=True)
class Moment:
    """What is not in the request: the time, and numbers that nobody had before."""

    now: datetime
    number: Callable[[], int]

    def timestamp(self) -> str:
        """As Google writes it."""
        return self.now.astimezone(_PACIFIC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True)
class Mutations:
    """Those of one world. All raise `Refused`. `strict` refuses what is otherwise ignored."""

    document: Document
    world: World
    strict: bool = False
    under_way: Callable[[], Iterable[Change]] = tuple
    """Changes that are not made yet, and will be."""

    def insert(self, kind: Kind, project: str, scope: str, body: object, moment: Moment) -> tuple[Change, Checked]:
        """A new resource."""
        checked = self.read(kind.schema, body)
        name = checked.value.get("name")
        if not name:
            raise bad_request([_required("name")])
        key = Key(project, scope, kind.collection, name)
        if self.world.get(key) is not None:
            raise already_exists(key)
        if len(self.world.resources) >= MOST_RESOURCES:
            raise quota_exceeded(f"Quota 'RESOURCES' exceeded. Limit: {MOST_RESOURCES}.0 globally.")
        server = {"id": str(moment.number()), "creationTimestamp": moment.timestamp()}
        return Change(key, self.complete(kind, key, server | checked.value)), checked

    def update(self, kind: Kind, key: Key, body: object) -> tuple[Change, Checked]:
        """PUT."""
        before = self.existing(key)
        checked = self.read(kind.schema, body)
        kept = (*SERVER_FIELDS, *kind.fixed)
        replaced = {name: before[name] for name in kept if name in before} | checked.value
        return self.changed(kind, key, before, replaced, checked), checked

    def patch(self, kind: Kind, key: Key, body: object) -> tuple[Change, Checked]:
        """PATCH."""
        before = self.existing(key)
        checked = self.read(kind.schema, body, keep_nulls=True)
        return self.changed(kind, key, before, merge(before, checked.value), checked), checked

    def set(self, kind: Kind, key: Key, schema: str, body: object, fields: Iterable[str]) -> tuple[Change, Checked]:
        """`setTarget`, `setUrlMap` and the like: the fields of a request of its own schema become the resource's."""
        before = self.existing(key)
        checked = self.read(schema, body)
        for field in ("fingerprint", "labelFingerprint"):
            given = checked.value.get(field)
            if given is not None and not is_same(given, before.get(field, "")):
                raise condition_not_met(f"Invalid {field}.")
        after = dict(before)
        for field in fields:
            after.pop(field, None)
            if field in checked.value:
                after[field] = checked.value[field]
        return Change(key, self.complete(kind, key, after)), checked

    def delete(self, key: Key) -> Change:
        """A resource that something refers to stays."""
        self.existing(key)
        user = next(iter(sorted(self._ahead().users(key))), None)
        if user is not None:
            raise in_use(key, user)
        return Change(key, None)

    def existing(self, key: Key) -> Json:
        """The resource; 404 if there is none."""
        resource = self.world.resources.get(key)
        if resource is None:
            raise not_found(key)
        return resource

    def read(self, schema: str, body: object, *, keep_nulls: bool = False) -> Checked:
        """A body that keeps its schema."""
        if not isinstance(body, Mapping):
            raise invalid_body("The body has to be a JSON object.")
        checked = check(self.document, schema, body, keep_nulls=keep_nulls)
        faults = checked.faults
        if self.strict and not faults:
            nulls = () if keep_nulls else checked.nulls
            faults = [Fault(path, f"Invalid value for field '{path}'. It is ignored.") for path in checked.ignored]
            faults += [Fault(path, f"Invalid value for field '{path}': 'null'. It is ignored.") for path in nulls]
        if faults:
            raise bad_request(faults)
        return checked

    def changed(self, kind: Kind, key: Key, before: Json, after: Json, checked: Checked) -> Change:
        """A change of an existing resource to `after`, which is not complete yet."""
        given = checked.value.get("fingerprint")
        compared = kind.fingerprint and not (kind.optional and given is None)
        if compared and not is_same(given or "", before["fingerprint"]):
            raise condition_not_met()
        if after.get("name", key.name) != key.name:
            raise bad_request([invalid("name", after["name"], f"It is '{key.name}' and cannot be changed.")])
        after["name"] = key.name
        completed = self.complete(kind, key, after)
        faults = [
            invalid(name, completed.get(name, ""), "It cannot be changed after creation.")
            for name in kind.fixed
            if completed.get(name) != before.get(name)
        ]
        if faults:
            raise bad_request(faults)
        return Change(key, completed)

    def complete(self, kind: Kind, key: Key, resource: Json) -> Json:
        """References in stored form, defaults filled in, rules kept, a new fingerprint."""
        missing = [_required(place) for place in kind.required if not any(find(resource, place))]
        if missing:
            raise bad_request(missing)
        view = self._ahead()
        resource = self._stored_references(kind, key, resource, view)
        completed = kind.complete(Subject(dict(resource), key, view))
        faults = list(kind.check(Subject(completed, key, view)))
        if faults:
            raise bad_request(faults)
        if kind.labels:
            completed["labelFingerprint"] = fingerprint(completed.get("labels", {}))
        if kind.fingerprint:
            completed["fingerprint"] = fingerprint(completed)
        return completed

    def _ahead(self) -> Ahead:
        return ahead(self.world, self.under_way())

    def _stored_references(self, kind: Kind, key: Key, resource: Json, view: Ahead) -> Json:
        faults: list[Fault] = []
        dangling: list[Key] = []

        def stored(value: Any) -> Any:
            try:
                named = parse(value, key.project)
            except (TypeError, ValueError) as error:
                faults.append(invalid(reference.pattern, value, str(error)))
                return value
            if named.collection not in reference.collections:
                wanted = " or ".join(reference.collections)
                faults.append(invalid(reference.pattern, value, f"Unexpected resource collection; {wanted} is wanted."))
            elif view.get(named) is None:
                dangling.append(named)
            return str(named)

        for reference in kind.references:
            resource = replace(resource, reference.pattern, stored)
        if faults:
            raise bad_request(faults)
        if dangling:
            raise (not_ready if dangling[0] in view.going else not_found)(dangling[0])
        return resource


def merge(before: Mapping[str, Any], patch: Mapping[str, Any]) -> Json:
    """RFC 7396."""
    merged = dict(before)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            below = merged.get(name)
            merged[name] = merge(below if isinstance(below, Mapping) else {}, value)
        else:
            merged[name] = value
    return merged


def _required(place: str) -> Fault:
    return Fault(f"resource.{place}", f"Required field 'resource.{place}' not specified", "required")
