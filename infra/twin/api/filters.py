"""The filters of lists, in both of Google's languages.

name eq web-.*          legacy: `eq` and `ne`, with a regular expression that matches the whole value; in quotes only
                        \\" stands for something else, since backslashes are the expression's own
(status = "DONE") AND NOT labels.env:test      `=`, `!=`, `<`, `<=`, `>`, `>=`, `:`, `eq`, `ne`; AND is implied
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Test = Callable[[Mapping[str, Any]], bool]

LONGEST = 2048
DEEPEST = 20

_TOKEN = re.compile(r"""\s*(?:(?P<mark>[()]|!=|<=|>=|[=<>:])|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<word>[^\s()=<>:!"]+))""")
_OPERATORS = ("=", "!=", "<", "<=", ">", ">=", ":", "eq", "ne")
LONGEST_COMPARED = 128
"""Characters of a value that a regular expression looks at."""
MOST_WAYS = 5_000_000
"""In which a regular expression may be tried on a value: some tenths of a second."""
_ESCAPED = re.compile(r"\\.|\(\?:")
_GROUP_REPEATS = re.compile(r"\)[*+{]")


def parse(text: str) -> Test:
    """A test of a resource as it is answered; an empty filter passes everything. ValueError: it is none."""
    if len(text) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} characters")
    tokens = _tokens(text)
    if not tokens:
        return lambda _: True
    reader = _Reader(tokens)
    test = reader.either(0)
    if reader.at < len(tokens):
        raise ValueError(f"'{tokens[reader.at][1]}' was not expected")
    return test


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise ValueError(f"'{text[at : at + 20]}' was not expected")
        value = found[found.lastgroup]
        tokens.append((found.lastgroup, value))
        at = found.end()
    return tokens


@dataclass(slots=True)
class _Reader:
    tokens: list[tuple[str, str]]
    at: int = 0

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.at] if self.at < len(self.tokens) else ("end", "the end")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.at += 1
        return token

    def either(self, depth: int) -> Test:
        tests = [self.all(depth)]
        while self.peek() == ("word", "OR"):
            self.take()
            tests.append(self.all(depth))
        return tests[0] if len(tests) == 1 else lambda resource: any(test(resource) for test in tests)

    def all(self, depth: int) -> Test:
        tests = [self.one(depth)]
        while self.peek() not in (("end", "the end"), ("mark", ")"), ("word", "OR")):
            if self.peek() == ("word", "AND"):
                self.take()
            tests.append(self.one(depth))
        return tests[0] if len(tests) == 1 else lambda resource: all(test(resource) for test in tests)

    def one(self, depth: int) -> Test:
        if depth > DEEPEST:
            raise ValueError(f"it is nested more than {DEEPEST} deep")
        if self.peek() == ("word", "NOT"):
            self.take()
            negated = self.one(depth + 1)
            return lambda resource: not negated(resource)
        if self.peek() == ("mark", "("):
            self.take()
            inner = self.either(depth + 1)
            if self.take() != ("mark", ")"):
                raise ValueError("a ) is missing")
            return inner
        return self.comparison()

    def comparison(self) -> Test:
        (kind, field), (_, operator), (value_kind, value) = self.take(), self.take(), self.take()
        if kind != "word" or operator not in _OPERATORS or value_kind not in ("word", "quoted"):
            raise ValueError(f"a comparison such as name = web was expected, not '{field} {operator} {value}'")
        if value_kind == "quoted":
            value = re.sub(r'\\(")' if operator in ("eq", "ne") else r"\\(.)", r"\1", value)
        compare = _comparison(operator, value)
        return lambda resource: compare(_at(resource, field))


def _at(resource: Mapping[str, Any], field: str) -> Any:
    value: Any = resource
    for step in field.split("."):
        if isinstance(value, list):
            value = [member.get(step) for member in value if isinstance(member, Mapping)]
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _comparison(operator: str, wanted: str) -> Callable[[Any], bool]:
    if operator in ("eq", "ne"):
        if _ways(wanted) > MOST_WAYS:
            raise ValueError(f"'{wanted}' has too many ways to match")
        try:
            pattern = re.compile(wanted)
        except re.error as error:
            raise ValueError(f"'{wanted}' is no regular expression: {error}") from error
        return lambda value: (pattern.fullmatch(_text(value)[:LONGEST_COMPARED]) is not None) == (operator == "eq")
    if operator in ("=", "!="):
        parts = wanted.split("*")
        return lambda value: _has_parts(_text(value), parts) == (operator == "=")
    if operator == ":":
        return lambda value: value is not None and (wanted == "*" or wanted.lower() in _text(value).lower())
    return lambda value: value is not None and _ordered(operator, value, wanted)


def _ways(pattern: str) -> float:
    """How often a backtracking matcher may have to try, at most about."""
    bare = _ESCAPED.sub(lambda found: "(" if found[0] == "(?:" else "a", pattern)
    if _GROUP_REPEATS.search(bare):
        return math.inf
    repeats = sum(bare.count(mark) for mark in "*+{")
    branches = [part.count("|") + 1 for part in re.split("[()]", bare)]
    if repeats + bare.count("?") + len(branches) > DEEPEST:
        return math.inf
    return float(LONGEST_COMPARED**repeats * 2 ** bare.count("?") * math.prod(branches))


def _has_parts(text: str, parts: list[str]) -> bool:
    """Whether a text is these parts with anything in between; in one pass, however many there are."""
    first, *middle = parts
    if not middle:
        return text == first
    last, at = middle.pop(), len(first)
    if not text.startswith(first):
        return False
    for part in middle:
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return text.endswith(last) and len(text) - len(last) >= at


def _ordered(operator: str, value: Any, wanted: str) -> bool:
    left: Any = _text(value)
    right: Any = wanted
    with contextlib.suppress(ValueError):
        left, right = float(left), float(wanted)
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
