"""Remembers what was ever wrong in a world, and tells of each change once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Troubles:
    """`tell` gets a sentence for each change of a part's health."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._unhealthy: dict[str, str] = {}
        self._first: dict[str, str] = {}

    def note(self, name: str, problem: str | None, *, expected: bool = False) -> None:
        """What is wrong with a part now, None: nothing. What is `expected` when it begins is told, not remembered."""
        before = self._unhealthy.get(name)
        if problem is None:
            if self._unhealthy.pop(name, None) is not None:
                self._tell(f"{name}: healthy again")
            return
        self._unhealthy[name] = problem
        if before is None and not expected:
            self._first.setdefault(name, problem)
        if before != problem:
            self._tell(f"{name}: {problem}")

    def listed(self) -> list[str]:
        """What was first wrong with each part that was ever unhealthy."""
        return [f"{name}: {problem}" for name, problem in self._first.items()]
