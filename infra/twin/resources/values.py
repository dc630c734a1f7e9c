"""What single values have to be, where Google's schema says no more than that they are text or numbers.

A resource that keeps these rules can be served: the front end's core takes whatever they let through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from infra.twin.discovery.body import Fault
from infra.twin.resources.kind import invalid
from infra.twin.resources.paths import find

LONGEST_PATH = 1024
LONGEST_DURATION = 315_576_000_000
"""Seconds: Google's, ten thousand years."""

LONGEST_DOMAIN = 253
"""Characters: what a name of 255 octets (RFC 1035) has as text."""

_HOST = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?"
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_HOST_AND_PORT = re.compile(rf"{_HOST}(?::[0-9]{{1,5}})?")
_HOST_PATTERN = re.compile(rf"\*|(?:\*\.)?{_HOST}")
_PATH = re.compile(rf"/[!-~]{{0,{LONGEST_PATH - 1}}}")


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern` is a place in a resource (see `paths`); `message` says what is wanted there."""

    pattern: str
    holds: Callable[[Any], bool]
    message: str


def path(pattern: str) -> Rule:
    """A path of a URL; nothing is none."""
    message = f"Must begin with / and have no blanks and at most {LONGEST_PATH} characters."
    return Rule(pattern, lambda value: not value or _PATH.fullmatch(value) is not None, message)


def host(pattern: str) -> Rule:
    """A host name, with a port or without; nothing is none."""
    return Rule(pattern, lambda value: not value or _HOST_AND_PORT.fullmatch(value) is not None, "Must be a host name.")


def host_pattern(pattern: str) -> Rule:
    """A host name, `*.` and the end of one, or `*`."""
    return Rule(
        pattern,
        lambda value: _HOST_PATTERN.fullmatch(value) is not None,
        "Must be a host name without a port, *.suffix, or *.",
    )


def domain(pattern: str) -> Rule:
    """A name of the DNS (RFC 1123), which may end with a dot."""
    return Rule(pattern, _is_domain, "Must be a domain name, and no wildcard.")


def _is_domain(value: str) -> bool:
    return len(value.removesuffix(".")) <= LONGEST_DOMAIN and _DOMAIN.fullmatch(value) is not None


def header(pattern: str) -> Rule:
    """The name of a header."""
    return Rule(pattern, lambda value: _HEADER.fullmatch(value) is not None, "Must be the name of a header.")


def between(pattern: str, low: int, high: int) -> Rule:
    """A whole number."""
    return Rule(pattern, lambda value: low <= value <= high, f"Must be between {low} and {high}.")


def duration(pattern: str) -> Rule:
    """From a millisecond on."""
    return Rule(pattern, _is_duration, f"Must be between 1 ms and {LONGEST_DURATION} s, with nanos below a second.")


def _is_duration(value: Mapping[str, Any]) -> bool:
    seconds, nanos = int(value.get("seconds", 0)), int(value.get("nanos", 0))
    whole = 0 <= seconds <= LONGEST_DURATION and 0 <= nanos < 10**9
    return whole and (seconds > 0 or nanos >= 10**6)


def check_values(resource: Mapping[str, Any], rules: Iterable[Rule]) -> Iterator[Fault]:
    """What does not keep to its rule."""
    for rule in rules:
        for place, value in find(resource, rule.pattern):
            if not rule.holds(value):
                shown = value if isinstance(value, str | int | float) else ""
                yield invalid(place, str(shown)[:200], rule.message)
