"""google.api selectors: which methods a rule is for.

A selector is a comma-separated list of patterns: `*`, a full name, or a name whose last component is `*`, which stands
for one or more components (google/api/documentation.proto). Where several rules match, the last one wins, whole.

The patterns that select a method are few and can be written down (`*`, `pkg.*`, `pkg.Service.*`, `pkg.Service.Method`),
so rules are looked up by them: an API with thousands of methods and of rules is resolved at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

_PATTERN = re.compile(r"\*|[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(\.\*)?", re.ASCII)

Rule = TypeVar("Rule")


def check_selector(text: str) -> str:
    """A selector without spaces. ValueError says what is wrong."""
    patterns = [pattern.strip() for pattern in text.split(",")]
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern):
            raise ValueError(f'"{text}" is not a selector: expected *, package.Service.* or package.Service.Method')
    return ",".join(patterns)


def check_full_name(text: str) -> str:
    """A service's full name. ValueError says what is wrong."""
    if text == "*" or text.endswith(".*") or not _PATTERN.fullmatch(text):
        raise ValueError(f'"{text}" is not a full name such as package.Service')
    return text


def check_short_name(text: str) -> str:
    """A method's name within its service. ValueError says what is wrong."""
    if "." in check_full_name(text):
        raise ValueError(f'"{text}" is a full name: a method stands here by its own name')
    return text


def patterns_for(method: str) -> list[str]:
    """Every pattern that selects a method's full name.

    `package.Service.*` as the method means every method of the service that is not named otherwise: a pattern selects
    it when it selects all of them.
    """
    parts = method.split(".")
    wildcards = [".".join(parts[:length]) + ".*" for length in range(1, len(parts))]
    return list(dict.fromkeys(("*", *wildcards, method)))


class Rules(Generic[Rule]):
    """Rules in their order, looked up by method. Selectors have been checked by `check_selector`."""

    def __init__(self, rules: Iterable[Rule], selector_of: Callable[[Rule], str]) -> None:
        self._rules = tuple(rules)
        self._last: dict[str, int] = {}
        for index, rule in enumerate(self._rules):
            for pattern in selector_of(rule).split(","):
                self._last[pattern] = index

    def last_for(self, method: str) -> Rule | None:
        """The rule that holds for a method."""
        index = max((self._last.get(pattern, -1) for pattern in patterns_for(method)), default=-1)
        return self._rules[index] if index >= 0 else None


def named_methods(selectors: Iterable[str]) -> list[str]:
    """The full names among patterns, in order and once each."""
    patterns = (pattern for selector in selectors for pattern in selector.split(","))
    return list(dict.fromkeys(pattern for pattern in patterns if not pattern.endswith("*")))
