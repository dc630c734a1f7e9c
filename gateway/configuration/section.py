"""Typed reading of a tree that a shape has checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .document import Member, Node
from .problems import Place


@dataclass(frozen=True, slots=True)
class Section:
    """A checked mapping and where it stands. A key that is absent, or was faulty and reported, reads as its default."""

    node: Node
    at: Place

    @property
    def _members(self) -> Mapping[str, Member]:
        return self.node.value if isinstance(self.node.value, Mapping) else {}

    def __contains__(self, key: str) -> bool:
        return key in self._members

    def keys(self) -> tuple[str, ...]:
        return tuple(self._members)

    def place(self, key: str = "") -> Place:
        """Where a key stands, or the mapping itself."""
        path = ".".join(part for part in (self.at.path, key) if part)
        member = self._members.get(key)
        return Place(self.at.file, member.line if member else self.node.line, path)

    def _value(self, key: str) -> object:
        member = self._members.get(key)
        return member.node.value if member else None

    def text(self, key: str, default: str = "") -> str:
        value = self._value(key)
        return value if isinstance(value, str) else default

    def optional_text(self, key: str) -> str | None:
        value = self._value(key)
        return value if isinstance(value, str) else None

    def integer(self, key: str, default: int = 0) -> int:
        value = self._value(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else default

    def number(self, key: str, default: float = 0.0) -> float:
        """A number; for a duration, seconds."""
        value = self._value(key)
        return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else default

    def flag(self, key: str, default: bool = False) -> bool:
        value = self._value(key)
        return value if isinstance(value, bool) else default

    def section(self, key: str) -> Section:
        """A mapping, empty where it is absent."""
        member = self._members.get(key)
        return Section(member.node if member else Node(self.node.line, {}), self.place(key))

    def sections(self, key: str) -> list[Section]:
        return [Section(node, place) for node, place in self._items(key) if isinstance(node.value, Mapping)]

    def texts(self, key: str) -> list[tuple[str, Place]]:
        return [(node.value, place) for node, place in self._items(key) if isinstance(node.value, str)]

    def integers(self, key: str) -> list[int]:
        return [node.value for node, _ in self._items(key) if isinstance(node.value, int)]

    def _items(self, key: str) -> list[tuple[Node, Place]]:
        value = self._value(key)
        if not isinstance(value, tuple):
            return []
        path = self.place(key).path
        return [(node, Place(self.at.file, node.line, f"{path}[{index}]")) for index, node in enumerate(value)]
