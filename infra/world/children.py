"""The processes of a world as data, and the facts of those that run."""

from __future__ import annotations

import os
import signal
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from infra.world.errors import WorldError

SOURCE_ROOT = Path(__file__).resolve().parents[2]
LAST_LINES = 12


@dataclass(frozen=True, slots=True)
class Child:
    """A process to start. One that `announces` gets `--ready-fd N` and is ready when it wrote to it.

    One that `reports` gets `--report-fd N` and writes lines there all its life. Without a `vital` one nothing goes on.
    """

    name: str
    command: tuple[str, ...]
    announces: bool = False
    reports: bool = False
    vital: bool = False


class ChildError(WorldError):
    """A child did not start, or ended on its own; the message says how, and quotes its log."""


def python_module(module: str, *arguments: str) -> tuple[str, ...]:
    """A command that runs a module of this distribution. `-P`: a folder of the same name here is not meant."""
    return (sys.executable, "-P", "-m", module, *arguments)


def environment() -> dict[str, str]:
    """For children: what we have, less the settings that an operator made for gateways of their own."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
    variables["PYTHONUNBUFFERED"] = "1"
    if SOURCE_ROOT not in {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}:
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, (str(SOURCE_ROOT), variables.get("PYTHONPATH"))))
    return variables


def describe_exit(code: int) -> str:
    """`code` as in `asyncio.subprocess.Process.returncode`: negative for a signal."""
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def failure(name: str, what: str, log: Path) -> ChildError:
    """An error that ends with the last lines of the child's log."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-LAST_LINES:]
    except OSError:
        lines = []
    if not lines:
        return ChildError(f"{name} {what}; it wrote nothing to {log}")
    return ChildError("\n".join([f"{name} {what}. The end of {log}:", *(f"  | {line}" for line in lines)]))
