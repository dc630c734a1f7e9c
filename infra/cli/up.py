"""`tidegate up`: a whole small world on this machine."""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from infra.cli.arguments import add_directory, duration, port
from infra.cli.console import tell, write
from infra.world.gateway import make_gateway
from infra.world.layout import DEFAULT_ADMIN_PORT, DEFAULT_PORT, PortInUseError, choose_port
from infra.world.run import Listener, Settings, run_world
from infra.world.state import DirectoryInUseError, WorldDirectory, WorldState
from infra.world.summary import examples, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.world.layout import GatewayMaker


def main(argv: Sequence[str], make: GatewayMaker = make_gateway) -> int:
    """`make` lets tests put another program where the gateway stands."""
    arguments = _parser().parse_args(argv)
    try:
        with WorldDirectory(arguments.directory) as directory:
            settings = Settings(
                directory=directory.path,
                port=choose_port(arguments.port, DEFAULT_PORT),
                admin_port=choose_port(arguments.admin_port, DEFAULT_ADMIN_PORT),
                ready_seconds=arguments.ready_timeout,
                seconds=arguments.seconds,
                make_gateway=make,
            )
            ready = partial(_ready, directory, arguments.directory, arguments.output)
            troubles = asyncio.run(run_world(settings, Listener(tell, ready)))
    except BrokenPipeError:
        raise
    except (DirectoryInUseError, PortInUseError, OSError) as error:
        tell(f"tidegate up: {error}")
        return 1
    for trouble in troubles:
        tell(f"tidegate up: {trouble}")
    return 1 if troubles else 0


def _ready(owned: WorldDirectory, directory: Path, output: str, state: WorldState) -> None:
    owned.write(state)
    if output == "json":
        write(state.to_json().rstrip())
        return
    _print_table(state)
    write(f"\nPaste into another terminal:\n\n  cd {shlex.quote(str(Path.cwd()))}")
    for example in examples(state, _program(), directory):
        write(f"\n  # {example.shows}\n  {example.command}")
    write(f"\nAdmin page: {state.gateway.admin}/   Logs: {directory / 'logs'}/   Ctrl-C ends everything.")


def _print_table(state: WorldState) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "what", "address", "process", box=None, pad_edge=False, header_style="bold")
    for row in rows(state):
        table.add_row(*row)
    width = None if sys.stdout.isatty() else 120
    Console(width=width, highlight=False).print(table)


def _program() -> str:
    """How to start this very program from a shell: by its name only where that finds it."""
    script = Path(sys.argv[0])
    found = shutil.which("tidegate")
    if script.name != "tidegate":
        return f"{shlex.quote(sys.executable)} -m infra.cli.main"
    if found and script.exists() and Path(found).samefile(script):
        return "tidegate"
    below = script.absolute().is_relative_to(Path.cwd())
    return shlex.quote(os.path.relpath(script) if below else str(script.absolute()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidegate up",
        description="Start a sample app (two services of two pods), a token issuer and a gateway in front of them.",
        epilog="Example: tidegate up --for 20s",
    )
    parser.add_argument(
        "--for",
        dest="seconds",
        type=duration,
        metavar="TIME",
        help="end by itself so long after all is ready, with exit status 0 if all was healthy",
    )
    for option, default, what in (
        ("--port", DEFAULT_PORT, "the gateway's port"),
        ("--admin-port", DEFAULT_ADMIN_PORT, "the port of its admin page"),
    ):
        parser.add_argument(
            option, type=port, metavar="PORT", help=f"{what}, 0 for any free one (default: {default}, any if taken)"
        )
    parser.add_argument(
        "-o", "--output", choices=("table", "json"), default="table", help="what to print when ready (default: table)"
    )
    parser.add_argument(
        "--ready-timeout", type=duration, default=60.0, metavar="TIME", help="give up when not ready (default: 60s)"
    )
    add_directory(parser)
    return parser
