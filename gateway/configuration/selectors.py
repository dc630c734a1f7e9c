"""google.api selectors: which methods a rule is for.

A selector is a comma-separated list of patterns: `*`, a full name, or a name whose last component is `*`, which stands
for one or more components (google/api/documentation.proto). Where several rules match, the last one wins, whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

_PATTERN = re.compile(r"\*|[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(\.\*)?", re.ASCII)

Rule = TypeVar("Rule")


def parse_selector(text: str) -> tuple[str, ...]:
    """The patterns of a selector. ValueError says what is wrong."""
    patterns = tuple(pattern.strip() for pattern in text.split(","))
    for pattern in patterns:
        if not _PATTERN.fullmatch(pattern):
            raise ValueError(f'"{text}" is not a selector: expected *, package.Service.* or package.Service.Method')
    return patterns


def check_selector(text: str) -> str:
    """The selector without spaces. ValueError says what is wrong."""
    return ",".join(parse_selector(text))


def selects(selector: str, method: str) -> bool:
    """Whether a checked selector is for a method's full name.

    `package.Service.*` as the method means every method of the service that is not named otherwise: a selector is for
    it when it is for all of them.
    """
    return any(_pattern_selects(pattern, method) for pattern in selector.split(","))


def _pattern_selects(pattern: str, method: str) -> bool:
    if pattern in ("*", method):
        return True
    return pattern.endswith(".*") and method.startswith(pattern[:-1])


def last_match(rules: Iterable[Rule], selector_of: Callable[[Rule], str], method: str) -> Rule | None:
    """The rule that holds for a method."""
    found = None
    for rule in rules:
        if selects(selector_of(rule), method):
            found = rule
    return found


def named_methods(selectors: Iterable[str]) -> list[str]:
    """The full names among patterns, in order and once each."""
    patterns = (pattern for selector in selectors for pattern in selector.split(","))
    return list(dict.fromkeys(pattern for pattern in patterns if not pattern.endswith("*")))


def unmatched_patterns(selector: str, methods: Sequence[str]) -> list[str]:
    """The patterns of a selector that are for none of the methods; `*` is always for something."""
    return [
        pattern
        for pattern in selector.split(",")
        if pattern != "*" and not any(_pattern_selects(pattern, method) for method in methods)
    ]
