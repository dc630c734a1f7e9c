"""The methods and schemas of the Compute API, read from `compute.v1.json` (see `extract`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import unquote

Schema = Mapping[str, Any]
"""One of the document's schemas, or a member's: `type`, `$ref`, `enum`, `pattern`, `readOnly` and so on."""


@dataclass(frozen=True, slots=True)
class Method:
    """`name` is `collection.verb`, as in the document; `request` and `response` name schemas."""

    name: str
    verb: str
    segments: tuple[str, ...]
    parameters: Mapping[str, Schema]
    request: str | None
    response: str | None

    @property
    def collection(self) -> str:
        return self.name.partition(".")[0]

    @property
    def action(self) -> str:
        return self.name.partition(".")[2]


@dataclass(frozen=True, slots=True)
class Matched:
    """A method, and what its path says; values are decoded and not checked yet."""

    method: Method
    parameters: Mapping[str, str]


@dataclass(slots=True)
class _Node:
    """A tree of paths: literal segments go before parameters."""

    literal: dict[str, _Node] = field(default_factory=dict)
    parameter: dict[str, _Node] = field(default_factory=dict)
    methods: dict[str, Method] = field(default_factory=dict)


class Document:
    """Read once; immutable."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.revision: str = document["revision"]
        self.schemas: Mapping[str, Schema] = document["schemas"]
        self.methods = {name: _method(name, method) for name, method in document["methods"].items()}
        self._root = _Node()
        for method in self.methods.values():
            node = self._root
            for segment in method.segments:
                if segment.startswith("{"):
                    node = node.parameter.setdefault(segment[1:-1], _Node())
                else:
                    node = node.literal.setdefault(segment, _Node())
            node.methods[method.verb] = method

    def match(self, verb: str, path: str) -> Matched | None:
        """The method for a path below `/compute/v1/`, without the leading slash; None: there is none."""
        return next((matched for matched in self._at(path) if matched.method.verb == verb), None)

    def verbs(self, path: str) -> tuple[str, ...]:
        """Those that the path knows, sorted; empty: no such path."""
        return tuple(sorted({matched.method.verb for matched in self._at(path)}))

    def _at(self, path: str) -> Iterator[Matched]:
        segments = tuple(unquote(segment) for segment in path.split("/"))
        for node, parameters in _descend(self._root, segments, {}):
            for method in node.methods.values():
                yield Matched(method, parameters)


def _descend(node: _Node, segments: tuple[str, ...], found: dict[str, str]) -> Iterator[tuple[_Node, dict[str, str]]]:
    if not segments:
        yield node, found
        return
    head, rest = segments[0], segments[1:]
    if head in node.literal:
        yield from _descend(node.literal[head], rest, found)
    if head:
        for name, child in node.parameter.items():
            yield from _descend(child, rest, {**found, name: head})


def _method(name: str, method: Mapping[str, Any]) -> Method:
    return Method(
        name=name,
        verb=method["verb"],
        segments=tuple(method["path"].split("/")),
        parameters=method["parameters"],
        request=method.get("request"),
        response=method.get("response"),
    )


@cache
def compute_v1() -> Document:
    """The document of Compute v1."""
    return Document(json.loads(resources.files(__package__).joinpath("compute.v1.json").read_text()))
