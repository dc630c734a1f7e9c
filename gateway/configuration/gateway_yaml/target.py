"""One target of a backend: a text, or an address with what a registry would say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..document import Member, Node
from ..problems import Place, Problems
from ..quantities import HIGHEST_WEIGHT, check_target
from ..section import Section
from ..shape import Field, Number, Record, Schema, Shape, Text


def _check_address(text: str) -> str:
    from gateway.discover.static_list import check_address

    return check_address(text)


@dataclass(frozen=True, slots=True)
class Labels(Shape):
    """Texts by keys of the operator's own."""

    def check(self, node: Node, place: Place, problems: Problems) -> Node | None:
        if not isinstance(node.value, Mapping):
            problems.error(place, f"is {node.kind} where a mapping is expected")
            return None
        members: dict[str, Member] = {}
        for key, member in node.value.items():
            at = Place(place.file, member.line, f"{place.path}.{key}")
            checked = Text(empty=True).check(member.node, at, problems)
            if checked is not None:
                members[key] = Member(member.line, checked)
        return Node(node.line, members)

    def schema(self) -> Schema:
        return {"type": "object", "additionalProperties": {"type": "string"}}


_ADDRESS = Text(parse=check_target, what="an address")
_RECORD = Record(
    {
        "address": Field(
            Text(parse=_check_address, what="an address"), "HOST:PORT, [IPv6]:PORT or unix:///path.", required=True
        ),
        "weight": Field(Number(1, HIGHEST_WEIGHT), "Its share of requests. Default: 1."),
        "priority": Field(Number(0, HIGHEST_WEIGHT), "0 comes first; others are for when it fails. Default: 0."),
        "zone": Field(Text(what="a name"), "Where it runs."),
        "metadata": Field(Labels(), "For people."),
    }
)


@dataclass(frozen=True, slots=True)
class Target(Shape):
    """A mapping becomes the `static:` target that says the same."""

    def check(self, node: Node, place: Place, problems: Problems) -> Node | None:
        if not isinstance(node.value, Mapping):
            return _ADDRESS.check(node, place, problems)
        checked = _RECORD.check(node, place, problems)
        if checked is None:
            return None
        section = Section(checked, place)
        return Node(node.line, _spelled(section)) if "address" in section else None

    def schema(self) -> Schema:
        return {"anyOf": [_ADDRESS.schema(), _RECORD.schema()]}


def _spelled(section: Section) -> str:
    from gateway.discover.source import Endpoint
    from gateway.discover.static_list import spell

    labels = section.section("metadata")
    keys = labels.keys()
    return spell(
        Endpoint(
            section.text("address"),
            section.integer("weight", 1),
            section.text("zone"),
            section.integer("priority"),
            tuple((key, labels.text(key)) for key in keys),
        )
    )


def check_contradictions(section: Section, problems: Problems) -> None:
    """Reports what targets of a backend say differently of one address."""
    from gateway.discover.source import Endpoint
    from gateway.discover.static_list import differing, written

    seen: dict[str, Endpoint] = {}
    for text, place in section.texts("targets"):
        for endpoint in written(text):
            if contradiction := differing(seen.setdefault(endpoint.address, endpoint), endpoint):
                problems.error(place, contradiction, "keep one of them")
