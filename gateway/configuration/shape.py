"""The shapes that configuration data may have, as values.

One table of shapes per format drives everything about it: the check of a document (all faults at once, each with its
line), the suggestion for a mistyped key, which fields are honoured, and the published JSON schema. `check` returns a
cleaned tree: what was faulty is left out and has been reported, numbers with units have become numbers, keys have
their canonical spelling; `section.Section` reads it.
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .document import Member, Node, Scalar
from .problems import Place, Problems, did_you_mean
from .quantities import parse_duration, parse_size

Handling = Literal["honoured", "derived", "described", "ignored", "refused"]
"""What the gateway does with a field: acts on it; takes what it says from descriptor sets instead; needs it not, as it
only describes the API (a note says so); does not act on it (a warning says so); or refuses it, as ignoring it would
serve what it forbids (an error)."""

Schema = dict[str, object]


class Shape(ABC):
    @abstractmethod
    def check(self, node: Node, place: Place, problems: Problems) -> Node | None:
        """The cleaned value; None after reporting why it is none."""

    @abstractmethod
    def schema(self) -> Schema:
        """The same as JSON schema (draft 2020-12)."""


def _expected(what: str, node: Node, place: Place, problems: Problems) -> Node | None:
    if node.value is None:
        problems.error(place, "has no value", f"give {what}, or remove the key")
    else:
        problems.error(place, f"is {node.kind} where {what} is expected")
    return None


@dataclass(frozen=True, slots=True)
class Anything(Shape):
    """A value that nothing reads."""

    def check(self, node: Node, place: Place, problems: Problems) -> Node | None:
        return node

    def schema(self) -> Schema:
        return {}


@dataclass(frozen=True, slots=True)
class Text(Shape):
    """A text; numbers count as the text they were written as. `parse` cleans it, its ValueError is the fault."""

    choices: tuple[str, ...] = ()
    parse: Callable[[str], Scalar] | None = None
    empty: bool = False
    what: str = "a text"

    def check(self, node: Node, place: Place, problems: Problems) -> Node | None:
        if node.value is None or isinstance(node.value, (tuple, Mapping, bool)):
            return _expected(self.what, node, place, problems)
        if not node.text.strip() and not self.empty:
            problems.error(place, "is empty", f"give {self.what}, or remove the key")
            return None
        if self.choices and node.text not in self.choices:
            listed = ", ".join(self.choices)
            problems.error(place, f'"{node.text}" is none of {listed}', did_you_mean(node.text, self.choices))
            return None
        if self.parse is None:
            return Node(node.line, node.text, node.text)
        try:
            return Node(node.line, self.parse(node.text), node.text)
        except ValueError as error:
            problems.error(place, str(error))
            return None

    def schema(self) -> Schema:
        schema: Schema = {"type": "string"}
        if self.choices:
            schema["enum"] = list(self.choices)
        elif not self.empty:
            schema["minLength"] = 1
        return schema


@dataclass(frozen=True, slots=True)
class Quantity(Shape):
    """A number with or without a unit: a duration becomes seconds, a size bytes; the bounds are in the same unit."""

    kind: Literal["duration", "size"]
    least: float = 0
    most: float | None = None

    def check(self, node: Node, place: Place, problems: Problems) -> Node | None:
        what = "a duration such as 30s" if self.kind == "duration" else "a size such as 64KiB"
        if node.value is None or isinstance(node.value, (tuple, Mapping, bool)):
            return _expected(what, node, place, problems)
        try:
            value: float | int = parse_duration(node.text) if self.kind == "duration" else parse_size(node.text)
        except ValueError as error:
            problems.error(place, str(error))
            return None
        if value < self.least:
            problems.error(place, f"{node.text} is less than {self.least:g}")
            return None
        if self.most is not None and value > self.most:
            problems.error(place, f"{node.text} is more than {self.most:.0f}")
            return None
        return Node(node.line, value, node.text)

    def schema(self) -> Schema:
        pattern = r"^(\d+(\.\d+)?(ms|s|m|h|d))+$" if self.kind == "duration" else r"^\d+([kKmMgG]([iI]?[bB])?)?$"
        number = "number" if self.kind == "duration" else "integer"
        return {"anyOf": [{"type": number, "minimum": self.least}, {"type": "string", "pattern": pattern}]}


@dataclass(frozen=True, slots=True)
class Number(Shape):
    """A number from `least` to `most`; a whole one unless `fractions`."""

    least: float = 0
    most: float = 2**31 - 1
    fractions: bool = False

    def check(self, node: Node, place: Place, problems: Problems) -> Node | None:
        value: object = node.value
        what = "a number" if self.fractions else "a whole number"
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}(\.\d+)?", value, re.ASCII):
            value = float(value) if "." in value else int(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return _expected(what, node, place, problems)
        if isinstance(value, float) and not self.fractions:
            problems.error(place, f"{node.text} is not a whole number")
            return None
        if not self.least <= value <= self.most:
            least = f"{self.least:g}" if self.fractions else f"{self.least:.0f}"
            problems.error(place, f"{node.text} is not between {least} and {self.most:.0f}")
            return None
        return Node(node.line, value, node.text)

    def schema(self) -> Schema:
        return {"type": "number" if self.fractions else "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True)
class Flag(Shape):
    """true or false, and nothing that merely looks like it."""

    def check(self, node: Node, place: Place, problems: Problems) -> Node | None:
        if not isinstance(node.value, bool):
            return _expected("true or false", node, place, problems)
        return node

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Listing(Shape):
    """A list of one shape."""

    item: Shape
    least: int = 0

    def check(self, node: Node, place: Place, problems: Problems) -> Node | None:
        if not isinstance(node.value, tuple):
            return _expected("a list", node, place, problems)
        if len(node.value) < self.least:
            problems.error(place, "is empty", "give at least one entry")
            return None
        checked = []
        for index, item in enumerate(node.value):
            item_place = Place(place.file, item.line, f"{place.path}[{index}]")
            checked.append(self.item.check(item, item_place, problems) or Node(item.line, None))
        return Node(node.line, tuple(checked))

    def schema(self) -> Schema:
        schema: Schema = {"type": "array", "items": self.item.schema()}
        if self.least:
            schema["minItems"] = self.least
        return schema


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a record. `reason` says why it is not honoured, or what it means."""

    shape: Shape
    reason: str = ""
    handling: Handling = "honoured"
    required: bool = False


@dataclass(frozen=True, slots=True)
class Record(Shape):
    """A mapping with known keys. With `proto_names` a key may be written `like_this` or `likeThis`, as in proto3 JSON.

    `one_of` are keys of which at most one may be given; with `one_needed`, exactly one.
    """

    fields: Mapping[str, Field]
    proto_names: bool = False
    one_of: tuple[str, ...] = ()
    one_needed: bool = False
    _spellings: dict[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.fields:
            self._spellings[name] = name
            if self.proto_names:
                self._spellings[camel_case(name)] = name

    def check(self, node: Node, place: Place, problems: Problems) -> Node | None:
        if not isinstance(node.value, Mapping):
            return _expected("a mapping", node, place, problems)
        members: dict[str, Member] = {}
        seen: dict[str, int] = {}
        for key, member in node.value.items():
            at = Place(place.file, member.line, f"{place.path}.{key}" if place.path else key)
            name = self._spellings.get(key)
            if name is None:
                problems.error(at, f'unknown key "{key}"', "" if problems.full else did_you_mean(key, self._spellings))
            elif name in seen:
                problems.error(at, f'"{key}" is given a second time (first on line {seen[name]} in its other spelling)')
            else:
                seen[name] = member.line
                self._member(name, member, at, problems, members)
        self._completeness(seen, Place(place.file, node.line, place.path), problems)
        return Node(node.line, members)

    def _member(self, name: str, member: Member, at: Place, problems: Problems, members: dict[str, Member]) -> None:
        known = self.fields[name]
        checked = known.shape.check(member.node, at, problems)
        if checked is None:
            return
        members[name] = Member(member.line, checked)
        if known.handling in ("honoured", "derived") or is_default(checked):
            return
        match known.handling:
            case "described":
                problems.note(at, f"not honoured: {known.reason}")
            case "ignored":
                problems.warning(at, f"not honoured: {known.reason}")
            case _:
                problems.error(at, f"cannot be honoured: {known.reason}")

    def _completeness(self, seen: Mapping[str, int], at: Place, problems: Problems) -> None:
        for name, known in self.fields.items():
            if known.required and name not in seen:
                problems.error(at, f'"{name}" is missing')
        chosen = [name for name in self.one_of if name in seen]
        if len(chosen) > 1:
            problems.error(at, f"only one of {', '.join(chosen)} can be given")
        elif not chosen and self.one_needed:
            problems.error(at, f"one of {', '.join(self.one_of)} is missing")

    def schema(self) -> Schema:
        properties: Schema = {}
        for name, known in self.fields.items():
            properties[name] = {**known.shape.schema(), **({"description": known.reason} if known.reason else {})}
        schema: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
        required = [name for name, known in self.fields.items() if known.required]
        if required:
            schema["required"] = required
        if self.one_needed:
            schema["oneOf"] = [{"required": [name]} for name in self.one_of]
        return schema


def camel_case(name: str) -> str:
    """`allow_cors` -> `allowCors`, as proto3 JSON spells it."""
    head, *rest = name.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)


def is_default(node: Node) -> bool:
    """Whether a value says no more than its absence: nothing, false, zero, an empty text, list or mapping."""
    value = node.value
    return value is None or value in (0, "", (), {})
