"""Places in a resource, as patterns: `backends[].group`, `pathMatchers[].routeRules[].routeAction`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Json = dict[str, Any]


def find(resource: Mapping[str, Any], pattern: str) -> Iterator[tuple[str, Any]]:
    """(path, value) of everything at a pattern, in order."""
    yield from _find(resource, pattern.split("."), "")


def _find(value: Any, steps: list[str], path: str) -> Iterator[tuple[str, Any]]:
    if not steps:
        yield path, value
        return
    name, listed = steps[0].removesuffix("[]"), steps[0].endswith("[]")
    if not isinstance(value, Mapping) or value.get(name) is None:
        return
    below = f"{path}.{name}" if path else name
    if not listed:
        yield from _find(value[name], steps[1:], below)
    elif isinstance(value[name], list):
        for index, member in enumerate(value[name]):
            yield from _find(member, steps[1:], f"{below}[{index}]")


def replace(resource: Mapping[str, Any], pattern: str, change: Callable[[Any], Any]) -> Json:
    """A copy in which everything at a pattern is what `change` makes of it; the rest is shared."""
    return dict(_replace(resource, pattern.split("."), change))


def without(resource: Mapping[str, Any], pattern: str) -> Json:
    """A copy that has nothing at a pattern, which ends with a name and not with a list."""
    above, _, name = pattern.rpartition(".")

    def bare(owner: Any) -> Any:
        return {key: value for key, value in owner.items() if key != name} if isinstance(owner, Mapping) else owner

    return replace(resource, above, bare) if above else dict(bare(resource))


def _replace(value: Any, steps: list[str], change: Callable[[Any], Any]) -> Any:
    if not steps:
        return change(value)
    name, listed = steps[0].removesuffix("[]"), steps[0].endswith("[]")
    if not isinstance(value, Mapping) or value.get(name) is None:
        return value
    if not listed:
        return {**value, name: _replace(value[name], steps[1:], change)}
    return {**value, name: [_replace(member, steps[1:], change) for member in value[name]]}
