"""Flags as Go's programs take them: `-name value`, `-name=value`, one dash or two, `-switch` or `-switch=false`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from healthcheck.probe.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    Value = str | bool | float | list[str] | None

SWITCHES = {
    **dict.fromkeys(("1", "t", "T", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "F", "false", "FALSE", "False"), False),
}


class Usage(Exception):
    """The command line says nothing that can be done; the message tells why."""


class Flag(NamedTuple):
    """`kind`: "text", "switch", "duration" (seconds, more than none) or "list", which may be given repeatedly."""

    name: str
    kind: str
    default: Value
    metavar: str
    help: str


def parse(argv: Sequence[str], flags: Sequence[Flag]) -> tuple[dict[str, Value], list[str]]:
    """The flags' values by name, and the other arguments. Raises Usage."""
    known = {flag.name: flag for flag in flags}
    values: dict[str, Value] = {flag.name: [] if flag.kind == "list" else flag.default for flag in flags}
    others: list[str] = []
    rest = list(argv)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            return values, others + rest
        if not argument.startswith("-") or argument == "-":
            others.append(argument)
            continue
        name, equals, text = argument.removeprefix("-").removeprefix("-").partition("=")
        flag = known.get(name)
        if flag is None:
            raise Usage(_unknown(argument, name, known))
        if not equals and flag.kind == "switch":
            text = "true"
        elif not equals and not rest:
            raise Usage(f"{argument} needs a value: {flag.metavar}")
        elif not equals:
            text = rest.pop(0)
        _put(values, flag, text)
    return values, others


def _put(values: dict[str, Value], flag: Flag, text: str) -> None:
    held = values[flag.name]
    if isinstance(held, list):
        held.append(text)
    elif flag.kind == "switch":
        if text not in SWITCHES:
            raise Usage(f'-{flag.name}: "{text}" is neither true nor false')
        values[flag.name] = SWITCHES[text]
    elif flag.kind == "duration":
        try:
            seconds = parse_duration(text)
        except ValueError as error:
            raise Usage(f"-{flag.name}: {error}") from None
        if seconds <= 0:
            raise Usage(f"-{flag.name}: more than nothing, not {text}")
        values[flag.name] = seconds
    else:
        values[flag.name] = text


def _unknown(argument: str, name: str, known: dict[str, Flag]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1)
    suggestion = f" Did you mean -{close[0]}?" if close else ""
    return f"there is no flag {argument.partition('=')[0]}.{suggestion} `tidegate probe -help` lists them all."
