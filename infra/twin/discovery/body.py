"""Checks a body against its schema, as Google's front end does before any rule of the resource itself.

What has the wrong type, enum value or pattern is a fault. What Google drops without a word is dropped here and named:
fields that the schema does not know, output-only ones, nulls. Numbers of 64 bits are strings in JSON, and Google takes
each of the two for the other; what is kept is what Google would answer with.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from infra.twin.discovery.document import Document, Schema

Json = dict[str, Any]

MOST_FAULTS = 20
"""Of one body; the rest would say no more."""

MOST_IGNORED = 100
"""Places of one body that are named, of unknown fields and of nulls; the rest is not counted."""

LONGEST_NAME = 300
"""Characters of a place that is named."""

_LARGEST = sys.float_info.max
_HALVES = re.compile("[\ud800-\udfff]")
_RANGES = {
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint64": (0, 2**64 - 1),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """`field` is a path such as `resource.backends[0].balancingMode`."""

    field: str
    message: str
    reason: str = "invalid"


@dataclass(slots=True)
class Checked:
    """`value` holds what was good; `ignored` are the paths of what was dropped, nulls apart from the rest."""

    value: Json = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    nulls: list[str] = field(default_factory=list)


def check(
    document: Document, schema: str, body: object, path: str = "resource", *, keep_nulls: bool = False
) -> Checked:
    """Checks a body against a schema of the document, by its name.

    `keep_nulls`: nulls of known fields stay in the value, since in a merge they remove what they name. In lists, which
    no merge goes into, they name nothing.
    """
    checked = Checked()
    value = _Checker(document, checked, keep_nulls).value({"$ref": schema}, body, path)
    if isinstance(value, dict):
        checked.value = value
    return checked


def _is_text(value: str) -> bool:
    """JSON's escapes can write halves of surrogate pairs, which are no characters."""
    return value.isascii() or not _HALVES.search(value)


@cache
def _whole(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


@dataclass(frozen=True, slots=True)
class _Checker:
    document: Document
    checked: Checked
    keep_nulls: bool

    def fault(self, path: str, value: Any, message: str) -> None:
        if len(self.checked.faults) < MOST_FAULTS:
            shown = str(value) if isinstance(value, str | int | float | bool) else type(value).__name__
            text = f"Invalid value for field '{path}': '{shown[:200]}'. {message}"
            self.checked.faults.append(Fault(path, text))

    def name(self, places: list[str], path: str) -> None:
        if len(places) < MOST_IGNORED:
            places.append(path[:LONGEST_NAME])

    def value(self, schema: Schema, value: Any, path: str) -> Any:
        """The value as it is kept; where there is a fault, anything."""
        if "$ref" in schema:
            schema = self.document.schemas[schema["$ref"]]
        match schema.get("type"):
            case "object":
                kept = self.mapping(schema, value, path)
            case "array":
                kept = self.sequence(schema, value, path)
            case "string":
                kept = self.string(schema, value, path)
            case "integer":
                kept = self.integer(schema, value, path)
            case "number":
                kept = self.number(value, path)
            case "boolean":
                kept = self.boolean(value, path)
            case _:
                kept = value
        return kept

    def mapping(self, schema: Schema, value: Any, path: str) -> Json:
        if not isinstance(value, Mapping):
            self.fault(path, value, "Must be an object.")
            return {}
        return dict(self.members(schema, value, path))

    def members(self, schema: Schema, value: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
        properties, others = schema.get("properties", {}), schema.get("additionalProperties")
        for name, member in value.items():
            below = f"{path}.{name}"
            known = properties.get(name, others)
            if not _is_text(name):
                self.fault(path, "", "Names must be Unicode text; one holds half of a character.")
                continue
            if known is None or known.get("readOnly"):
                self.name(self.checked.ignored, below)
            elif member is None:
                self.name(self.checked.nulls, below)
                if self.keep_nulls:
                    yield name, None
            else:
                yield name, self.value(known, member, below)

    def sequence(self, schema: Schema, value: Any, path: str) -> Any:
        if not isinstance(value, list):
            self.fault(path, value, "Must be a list.")
            return []
        below = replace(self, keep_nulls=False) if self.keep_nulls else self
        return [below.value(schema["items"], member, f"{path}[{index}]") for index, member in enumerate(value)]

    def string(self, schema: Schema, value: Any, path: str) -> Any:
        if schema.get("format") in _RANGES:
            return str(self.integer(schema, value, path))
        if not isinstance(value, str):
            self.fault(path, value, "Must be a string.")
        elif not _is_text(value):
            self.fault(path, "", "Must be Unicode text; it holds half of a character.")
        elif "enum" in schema and value not in schema["enum"]:
            self.fault(path, value, f"Must be one of: {', '.join(schema['enum'])}.")
        elif "pattern" in schema and not _whole(schema["pattern"]).fullmatch(value):
            self.fault(path, value, f"Must be a match of regex '{schema['pattern']}'.")
        return value

    def integer(self, schema: Schema, value: Any, path: str) -> Any:
        digits = isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value)
        number = int(value) if digits or (isinstance(value, float) and value.is_integer()) else value
        low, high = _RANGES.get(schema.get("format", "int32"), _RANGES["int32"])
        if isinstance(number, bool) or not isinstance(number, int):
            self.fault(path, value, "Must be an integer.")
        elif not low <= number <= high:
            self.fault(path, value, f"Must be between {low} and {high}.")
        return number

    def number(self, value: Any, path: str) -> Any:
        number = value
        if isinstance(value, str):
            try:
                number = float(value)
            except ValueError:
                number = None
        if isinstance(number, bool) or not isinstance(number, int | float) or not -_LARGEST <= number <= _LARGEST:
            self.fault(path, value, "Must be a number.")
        return number

    def boolean(self, value: Any, path: str) -> Any:
        if value in ("true", "false"):
            return value == "true"
        if not isinstance(value, bool):
            self.fault(path, value, "Must be true or false.")
        return value
