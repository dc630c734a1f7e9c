"""How an operator says who is let in: rate limits, and a backend's adaptive concurrency limit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from .model import DEFAULT_KEYS, AdaptiveConcurrency, RateKey, RateLimit
from .problems import Problems, did_you_mean
from .section import Section

MOST_REQUESTS = 1_000_000_000
MOST_KEYS = 10_000_000
MOST_NAMED = 8
"""Limits that one route or method names."""

_PERIODS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RATE = re.compile(r"(\d{1,10})/([smhd])", re.ASCII)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_LONGEST_FILL = 100 * 365 * 86400


def parse_rate(text: str) -> tuple[int, int]:
    """(requests, seconds) of `100/s`, `5/m`, `1000/h` or `1/d`. ValueError says what is expected."""
    match = _RATE.fullmatch(text.replace(" ", ""))
    if match is None:
        raise ValueError(f'"{text}" is not a rate such as 100/s, 5/m, 1000/h or 1/d')
    requests, period = int(match[1]), _PERIODS[match[2]]
    if not 1 <= requests <= MOST_REQUESTS * period:
        raise ValueError(f'"{text}": a rate is at least 1, and at most {MOST_REQUESTS} a second')
    return requests, period


def parse_rate_key(text: str) -> RateKey:
    """Reads `claim:NAME`, `header:NAME` or `source`. ValueError: it is none of these."""
    kind, _, name = text.partition(":")
    if text == "source":
        return RateKey("source")
    if kind == "header" and _HEADER.fullmatch(name):
        return RateKey("header", name.lower())
    if kind == "claim" and name.strip():
        return RateKey("claim", name)
    raise ValueError(f'"{text}" is none of claim:NAME, header:NAME, source')


def check_rate(text: str) -> str:
    """The text itself. ValueError as `parse_rate`."""
    parse_rate(text)
    return text


def check_rate_key(text: str) -> str:
    """The text itself. ValueError as `parse_rate_key`."""
    parse_rate_key(text)
    return text


def rate_limits(spec: Section, problems: Problems) -> tuple[RateLimit, ...]:
    """Reads the checked `rateLimits` of a file."""
    found: dict[str, RateLimit] = {}
    for section in spec.sections("rateLimits"):
        limit = _rate_limit(section, problems)
        if limit.name in found:
            problems.error(section.place("name"), f'rate limit "{limit.name}" is given a second time')
        found.setdefault(limit.name, limit)
    return tuple(found.values())


def _rate_limit(section: Section, problems: Problems) -> RateLimit:
    text, key = section.optional_text("rate"), section.optional_text("key")
    requests, seconds = parse_rate(text) if text else (1, 1)
    burst = section.integer("burst", max(1, requests // seconds))
    if burst * seconds / requests > _LONGEST_FILL:
        problems.error(section.place("burst"), f"{burst} at {text} take more than a hundred years to come back")
    if key is None and "maxKeys" in section:
        problems.error(section.place("maxKeys"), "there is one bucket where no key is given", "remove it, or give key")
    return RateLimit(
        section.text("name"),
        requests,
        float(seconds),
        burst,
        parse_rate_key(key) if key else None,
        section.integer("maxKeys", DEFAULT_KEYS),
    )


def named_limits(section: Section, known: Sequence[RateLimit], problems: Problems) -> tuple[str, ...]:
    """The names that a route or method gives in `rateLimits`."""
    names = [limit.name for limit in known]
    given = section.texts("rateLimits")
    for number, (name, place) in enumerate(given):
        if name not in names:
            problems.error(place, f'there is no rate limit "{name}"', did_you_mean(name, names))
        if name in [other for other, _ in given[:number]]:
            problems.error(place, f'"{name}" is given a second time')
    if len(given) > MOST_NAMED:
        problems.error(section.place("rateLimits"), f"{len(given)} are more than {MOST_NAMED}")
    return tuple(name for name, _ in given)


class _Limited(Protocol):
    @property
    def rate_limits(self) -> tuple[str, ...]: ...


def say_unused(spec: Section, users: Iterable[_Limited], problems: Problems) -> None:
    """Warns of limits that nothing names: they limit nothing."""
    used = {name for user in users for name in user.rate_limits}
    for section in spec.sections("rateLimits"):
        name = section.text("name")
        if name and name not in used:
            problems.warning(section.place(), f'no route or method names "{name}": it limits nothing', "name it in one")


def adaptive_concurrency(section: Section, problems: Problems) -> AdaptiveConcurrency:
    """Reads a checked `adaptiveConcurrency` mapping."""
    defaults = AdaptiveConcurrency()
    minimum = section.integer("minimum", defaults.minimum)
    maximum = section.integer("maximum", max(minimum, defaults.maximum))
    initial = section.integer("initial", min(max(minimum, defaults.initial), max(minimum, maximum)))
    if not minimum <= maximum:
        problems.error(section.place("maximum"), f"{maximum} is less than the minimum, {minimum}")
    elif not minimum <= initial <= maximum:
        problems.error(section.place("initial"), f"{initial} is not between {minimum} and {maximum}")
    tolerance = section.integer("tolerancePercent", defaults.tolerance_percent)
    return AdaptiveConcurrency(minimum, maximum, initial, tolerance)
