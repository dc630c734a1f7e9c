"""Reads flags and environment variables by the table in `flags`; a flag outranks its variable.

`--flag=value` and `--flag value`, `-p 8080` and `-p8080`, underscores and hyphens all mean the same. What is wrong is
collected, not raised, so that every fault is shown at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .flag import Flag
from .flags import BY_NAME, BY_SHORT
from .later_flags import LATER_SHORT
from .problems import Place, Problems, did_you_mean
from .quantities import check_listen_address, parse_duration, parse_port, parse_size

Value = str | int | float | bool

_YES = ("true", "1", "yes", "on")
_NO = ("false", "0", "no", "off")
_PREFIX = "TIDEGATE_"
_KUBERNETES_LINK = re.compile(r"tcp://|udp://")
_KUBERNETES_VARIABLE = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP)(_\w+)?)?)$")
"""Variables that Kubernetes sets for each Service, here one whose name begins with `tidegate`."""
_LARGEST_COUNT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Given:
    value: Value
    place: Place


@dataclass(frozen=True, slots=True)
class Settings:
    """What was given, by the flag's name; defaults are not in it."""

    given: Mapping[str, tuple[Given, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, **values: Value) -> Settings:
        """Settings as if the flags of these names had been given."""
        return cls({name: (Given(value, Place("--" + name)),) for name, value in values.items()})

    def __contains__(self, name: str) -> bool:
        return name in self.given

    def place(self, name: str) -> Place:
        """Where a value was given, or the flag that gives it."""
        return self.given[name][-1].place if name in self.given else Place("--" + name)

    def _last(self, name: str) -> Value | None:
        return self.given[name][-1].value if name in self.given else None

    def text(self, name: str) -> str | None:
        value = self._last(name)
        return value if isinstance(value, str) else None

    def texts(self, name: str) -> list[tuple[str, Place]]:
        return [(given.value, given.place) for given in self.given.get(name, ()) if isinstance(given.value, str)]

    def whole(self, name: str) -> int | None:
        value = self._last(name)
        return value if isinstance(value, int) else None

    def number(self, name: str) -> float | None:
        value = self._last(name)
        return float(value) if isinstance(value, (int, float)) else None

    def switch(self, name: str) -> bool:
        return self._last(name) is True


def parse_settings(arguments: Sequence[str], environ: Mapping[str, str], problems: Problems) -> Settings:
    """Everything that flags and variables say; what is wrong goes to `problems`."""
    given: dict[str, list[Given]] = {}
    for flag, text, place in _flags(arguments, problems):
        _add(flag, text, place, given, problems)
    for flag, text, place in _variables(environ, problems):
        if flag.name not in given:
            parts = text.split(",") if flag.repeatable else [text]
            values: dict[str, list[Given]] = {}
            for part in parts:
                _add(flag, part.strip(), place, values, problems)
            given.update(values)
    return Settings({name: tuple(values) for name, values in given.items()})


def _add(flag: Flag, text: str, place: Place, given: dict[str, list[Given]], problems: Problems) -> None:
    if flag.status == "not yet supported":
        problems.error(place, "is not yet supported")
        return
    if flag.status == "without effect":
        problems.note(place, f"has no effect. {flag.help}")
    try:
        value = _value(flag, text)
    except ValueError as error:
        problems.error(place, str(error))
        return
    given.setdefault(flag.name, []).append(Given(value, place))


def _flags(arguments: Sequence[str], problems: Problems) -> Iterator[tuple[Flag, str, Place]]:
    rest = list(reversed(arguments))
    while rest:
        argument = rest.pop()
        flag, place, text = _flag(argument, problems)
        if flag is None:
            # A value that follows an unknown flag is not a fault of its own.
            if "=" not in argument and argument.startswith("-") and rest and not rest[-1].startswith("-"):
                rest.pop()
            continue
        if text is None and flag.kind == "switch":
            text = "true"
        if text is None and flag.status != "not yet supported":
            if not rest or rest[-1].startswith("--"):
                problems.error(place, "needs a value", f"write {place.file}={flag.metavar}")
                continue
            text = rest.pop()
        if text is None and rest and not rest[-1].startswith("-"):
            text = rest.pop()
        yield flag, text or "", place


def _flag(argument: str, problems: Problems) -> tuple[Flag | None, Place, str | None]:
    if argument.startswith("--"):
        written, equals, text = argument.partition("=")
        name = written[2:].replace("-", "_")
        flag = BY_NAME.get(name)
        if flag is None:
            near = did_you_mean(name, BY_NAME).replace('"', '"--', 1)
            problems.error(Place(written), "unknown flag", near)
        return flag, Place(written), text if equals else None
    letter = argument[:2]
    flag = BY_SHORT.get(letter) or BY_NAME.get(LATER_SHORT.get(letter, ""))
    if flag is not None:
        attached = argument[2:].removeprefix("=")
        return flag, Place(letter), attached or None
    if argument.startswith("-"):
        problems.error(Place(argument.partition("=")[0]), "unknown flag", "see --help")
    else:
        problems.error(Place(argument[:40]), "is no flag", "flags look like --backend=grpc://127.0.0.1:50051")
    return None, Place(argument), None


def _variables(environ: Mapping[str, str], problems: Problems) -> Iterator[tuple[Flag, str, Place]]:
    known = {variable: flag for flag in BY_NAME.values() for variable in flag.variables}
    seen: dict[str, str] = {}
    for variable, flag in known.items():
        text = environ.get(variable)
        if not text:
            continue
        if flag.kind == "port" and _KUBERNETES_LINK.match(text):
            problems.warning(
                Place(variable), "is Kubernetes' link to a Service and is not read", "set enableServiceLinks: false"
            )
        elif flag.name in seen:
            problems.error(Place(variable), f"says the same as {seen[flag.name]}", "keep one of them")
        else:
            seen[flag.name] = variable
            yield flag, text, Place(variable)
    for variable in sorted(environ):
        if variable.startswith(_PREFIX) and variable not in known and not _KUBERNETES_VARIABLE.search(variable):
            near = did_you_mean(variable, known)
            if near:
                problems.warning(Place(variable), "is not read", near)


def _value(flag: Flag, text: str) -> Value:
    parse = _PARSERS.get(flag.kind)
    return parse(text) if parse else _text(flag, text)


def _text(flag: Flag, text: str) -> str:
    if flag.choices and text not in flag.choices:
        near = did_you_mean(text, flag.choices)
        raise ValueError(f'"{text}" is none of {", ".join(flag.choices)}' + (f"; {near}" if near else ""))
    if not text.strip() and flag.name != "access_log":
        raise ValueError("is empty")
    return text


def _switch(text: str) -> bool:
    if text.lower() not in (*_YES, *_NO):
        raise ValueError(f'"{text}" is neither true nor false')
    return text.lower() in _YES


def _count(text: str) -> int:
    if not re.fullmatch(r"\d{1,10}", text, re.ASCII) or int(text) > _LARGEST_COUNT:
        raise ValueError(f'"{text}" is not a whole number from 0 to {_LARGEST_COUNT}')
    return int(text)


_PARSERS: Mapping[str, Callable[[str], Value]] = {
    "switch": _switch,
    "port": parse_port,
    "duration": parse_duration,
    "size": parse_size,
    "count": _count,
    "address": check_listen_address,
}
