"""Which of many things is due first, without looking at all of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Deadlines(Generic[Key]):
    """A time for each key. A later one than is set changes nothing: who comes up looks whether it is really due."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Key]] = []
        self._set: dict[Key, float] = {}
        self._numbers = count()

    def set(self, key: Key, time: float) -> bool:
        """Makes sure that `key` comes up at `time` or before. Whether it is now the first of all."""
        known = self._set.get(key)
        if known is not None and known <= time:
            return False
        self._set[key] = time
        heappush(self._heap, (time, next(self._numbers), key))
        return self._heap[0][2] == key

    def first(self) -> float | None:
        """When the first comes up; None: there is none."""
        while self._heap and self._set.get(self._heap[0][2]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: float) -> Iterator[Key]:
        """Takes out what has come up."""
        due = []
        while (first := self.first()) is not None and first <= now:
            key = heappop(self._heap)[2]
            del self._set[key]
            due.append(key)
        return iter(due)
