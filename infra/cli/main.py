"""The entry point of `tidegate`: finds the sub-command and turns the ways in which it can end into exit statuses."""

from __future__ import annotations

import contextlib
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from infra.cli.commands import COMMANDS, find, help_text

if TYPE_CHECKING:
    from collections.abc import Sequence

NATIVE_MODULE = "tidegate_core"
USAGE_ERROR = 2
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""
BROKEN_PIPE = 141
"""128 + SIGPIPE."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `argv` (default: this process's) and returns the exit status. A sub-command may raise SystemExit."""
    try:
        try:
            return _dispatch(list(sys.argv[1:] if argv is None else argv))
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except ModuleNotFoundError as error:
        if error.name != NATIVE_MODULE:
            raise
        print(f"tidegate: the native module {NATIVE_MODULE} is not built: run `make build`", file=sys.stderr)
        return 1
    except BrokenPipeError:
        _discard_output()
        return BROKEN_PIPE


def _dispatch(argv: list[str]) -> int:
    name, rest = (argv[0], argv[1:]) if argv else ("help", [])
    if name == "help" and rest:
        return _run(rest[0], ["--help"])
    if name in ("-h", "--help", "help"):
        print(help_text())
        return 0
    if name in ("-V", "--version", "version"):
        print(f"tidegate {_version()}")
        return 0
    return _run(name, rest)


def _run(name: str, argv: list[str]) -> int:
    command = find(name)
    if command is None:
        print(f"tidegate: {_unknown(name)}", file=sys.stderr)
        return USAGE_ERROR
    status: int | None = import_module(command.module).main(argv)
    return status or 0


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    kind = "option" if name.startswith("-") else "command"
    names = [command.name for command in COMMANDS] if kind == "command" else ["--help", "--version"]
    close = get_close_matches(name, names, n=1)
    suggestion = f' Did you mean "{close[0]}"?' if close else ""
    return f'there is no {kind} "{name}".{suggestion} `tidegate --help` lists them all.'


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("tidegate")
    except PackageNotFoundError:
        return "(not installed: running from a source tree)"


def _discard_output() -> None:
    """What is still buffered for a reader that has gone must not fail again when the interpreter exits."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
