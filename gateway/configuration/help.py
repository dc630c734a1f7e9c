"""`tidegate gateway --help`."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

from .flag import Flag
from .flags import FLAGS

_EXAMPLE = """\
Examples:
  a plain proxy:
    tidegate gateway --http2_port=8080 --backend=grpc://127.0.0.1:50051
  with a service configuration, as ESP is started:
    TIDEGATE_SERVICE_CONFIG=service.yaml TIDEGATE_PROTO_DESCRIPTOR=api.pb \\
    tidegate gateway --ssl_port=443 --http_port=9000 --backend=grpc://127.0.0.1:8091 \\
        --service=NAME.endpoints.PROJECT.cloud.goog --rollout_strategy=managed
  with our own file:
    tidegate gateway --config=gateway.yaml
"""
_INDENT = 30


def render_help(width: int = 100, colour: bool = False) -> str:
    """The whole help text, at most `width` columns; `colour` adds ANSI escapes."""
    bold, dim, plain = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if colour else ("", "", "")
    lines = [
        "Usage: tidegate gateway [FLAG]...",
        "",
        *_wrap(
            "Serves HTTP/2, HTTP/1.1 and gRPC, checks JWTs, transcodes HTTP and JSON, and forwards to a gRPC backend."
            " Without a service configuration it is a plain proxy that authenticates nothing.",
            width,
        ),
        "",
        *_wrap(
            "Flags may be written --flag=value or --flag value, with underscores or hyphens. Each one can also be set"
            " by an environment variable: TIDEGATE_ and its name in capitals, as TIDEGATE_HTTP2_PORT. Durations are"
            " written 30s, 1h30m, 500ms; sizes 65536, 64KiB, 4MiB.",
            width,
        ),
    ]
    group = ""
    for flag in FLAGS:
        if flag.status == "not yet supported":
            continue
        if flag.group != group:
            group = flag.group
            lines += ["", f"{bold}{group}:{plain}"]
        lines += _entry(flag, width, bold, dim, plain)
    lines += ["", *_EXAMPLE.splitlines()]
    return "\n".join(lines) + "\n"


def answer_help(arguments: Sequence[str]) -> bool:
    """Writes the help text to standard output where -h or --help is among the arguments; says whether it did.

    As wide as the terminal and in colours where there is one, unless NO_COLOR is set (no-color.org).
    """
    if not any(argument in ("-h", "--help") for argument in arguments):
        return False
    terminal = sys.stdout.isatty()
    width = min(shutil.get_terminal_size((100, 24)).columns, 120) if terminal else 100
    sys.stdout.write(render_help(width, colour=terminal and not os.environ.get("NO_COLOR")))
    return True


def _entry(flag: Flag, width: int, bold: str, dim: str, plain: str) -> list[str]:
    names = ", ".join(name for name in (flag.short, "--" + flag.name) if name)
    head = f"  {names} {flag.metavar}".rstrip()
    notes = [f"default: {flag.default}"] if flag.default else []
    notes += ["repeatable"] if flag.repeatable else []
    notes += ["also " + ", ".join("--" + alias for alias in flag.aliases)] if flag.aliases else []
    notes.append("env: " + ", ".join((flag.variable, *flag.extra_variables)))
    body = [
        *_wrap(flag.help, width - _INDENT),
        *(f"{dim}{line}{plain}" for line in _wrap(f"[{'; '.join(notes)}]", width - _INDENT)),
    ]
    coloured = head.replace("--" + flag.name, f"{bold}--{flag.name}{plain}", 1)
    if len(head) < _INDENT - 1:
        first = coloured + " " * (_INDENT - len(head)) + body[0]
        return [first, *(" " * _INDENT + line for line in body[1:])]
    return [coloured, *(" " * _INDENT + line for line in body)]


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, max(width, 30), break_long_words=False, break_on_hyphens=False)
