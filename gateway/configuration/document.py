"""Reads YAML or JSON into a tree in which every value and every key knows its line.

The text may come from anyone: its size, depth and number of values are bounded, aliases are counted as often as they
are used, tags that name anything but plain data are refused, and so are keys that appear twice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .problems import Place, Problems

LARGEST_FILE = 4 << 20
"""Bytes. Google's limit for a service configuration is smaller; a generated one with its types stays below 1 MiB."""
LARGEST_TREE = 200_000
"""Values in one document, aliases expanded."""
DEEPEST_TREE = 64

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """A value: a scalar (`text` is how it was written), a tuple of nodes, or members by key."""

    line: int
    value: Scalar | tuple[Node, ...] | Mapping[str, Member]
    text: str = ""

    @property
    def kind(self) -> str:
        """What an operator calls it, with its article."""
        match self.value:
            case None:
                return "nothing"
            case bool():
                return "true or false"
            case int() | float():
                return "a number"
            case str():
                return "a text"
            case tuple():
                return "a list"
        return "a mapping"


@dataclass(frozen=True, slots=True)
class Member:
    """A key's line and its value."""

    line: int
    node: Node


class SyntaxFault(ValueError):
    """The text is not the data it should be. `line` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


class Builder:
    """Counts what a reader builds, so that a small text cannot become a large tree."""

    def __init__(self) -> None:
        self._nodes = 0

    def enter(self, line: int, depth: int) -> None:
        self._nodes += 1
        if self._nodes > LARGEST_TREE:
            raise SyntaxFault(line, f"more than {LARGEST_TREE} values (each use of an alias counts)")
        if depth > DEEPEST_TREE:
            raise SyntaxFault(line, f"nested deeper than {DEEPEST_TREE} levels")

    def add(self, members: dict[str, Member], key: str, member: Member) -> None:
        """Adds a member; SyntaxFault when the key is there already."""
        if key in members:
            raise SyntaxFault(member.line, f'key "{key}" stands here a second time (first on line {members[key].line})')
        members[key] = member


def read_file(path: Path, problems: Problems) -> Node | None:
    """The document in a file, or None after adding a problem."""
    place = Place(str(path))
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        problems.error(place, f"cannot be read: {error.strerror or error}")
        return None
    return read_bytes(data, str(path), problems)


def read_bytes(data: bytes, file: str, problems: Problems) -> Node | None:
    """The document in `data`, or None after adding a problem; `file` is for messages only."""
    if len(data) > LARGEST_FILE:
        problems.error(Place(file), f"is larger than {LARGEST_FILE >> 20} MiB")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.error(Place(file, data.count(b"\n", 0, error.start) + 1), "is not UTF-8 text")
        return None
    try:
        return parse(text)
    except SyntaxFault as fault:
        problems.error(Place(file, fault.line), fault.message)
        return None


def parse(text: str) -> Node:
    """The tree of one JSON or YAML document. SyntaxFault says where and what is wrong."""
    # Python's own modules for either are imported only when needed: YAML costs a start 5 MB and 50 ms.
    if re.match(r"\s*[{\[]", text):
        from . import json_document

        try:
            return json_document.parse(text)
        except SyntaxFault as json_fault:
            try:
                return _parse_yaml(text)
            except SyntaxFault:
                raise json_fault from None
    return _parse_yaml(text)


def _parse_yaml(text: str) -> Node:
    from . import yaml_document

    return yaml_document.parse(text)
