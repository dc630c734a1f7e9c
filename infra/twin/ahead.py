"""The world with what is under way: rules go by it, so that two operations that pass each other keep them together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.twin.resources.key import Key
from infra.twin.world import Change, World


@dataclass(frozen=True, slots=True)
class Ahead:
    """A `View` for rules. What is being made has its number and its references already, but cannot be referred to yet;
    what is being deleted has them still, and cannot be referred to any more."""

    now: World
    then: World
    going: frozenset[Key]

    def get(self, key: Key) -> Mapping[str, Any] | None:
        """What can be referred to."""
        return None if key in self.going else self.now.get(key)

    def of(self, project: str, collection: str) -> Iterator[tuple[Key, Mapping[str, Any]]]:
        """All of a kind, by name: those that are being made too."""
        return self.then.of(project, collection)

    def users(self, key: Key) -> set[Key]:
        """What refers to a resource, or will."""
        return {*self.now.users(key), *(self.then.users(key) if self.then is not self.now else ())}


def ahead(world: World, under_way: Iterable[Change]) -> Ahead:
    """`under_way`: changes that will be made for certain."""
    changes = tuple(under_way)
    if not changes:
        return Ahead(world, world, frozenset())
    after = {change.key: change.after for change in changes if change.after is not None}
    going = frozenset(change.key for change in changes if change.after is None)
    return Ahead(world, World({**world.resources, **after}, world.endpoints), going)
