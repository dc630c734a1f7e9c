"""`tidegate up`: a world of several regions on this machine."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.configuration.problems import ConfigurationError
from infra.cli.arguments import add_directory, duration, port
from infra.cli.console import tell, write
from infra.cli.live import LiveTable, PlainLines, Silent
from infra.world import processes
from infra.world.clusters import DEFAULT_CLUSTERS, read_clusters
from infra.world.layout import DEFAULT_API_PORT, DEFAULT_PORT
from infra.world.run import Listener, Run, run_world
from infra.world.summary import examples, rows
from infra.world.world import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.cli.live import View
    from infra.world.processes import TwinMaker
    from infra.world.state import WorldState

EXAMPLES = """\
Examples:
  tidegate up --for 20s
  tidegate up --load 300/s --propagation-delay 30s
  tidegate up --clusters clusters.yaml
"""


def main(argv: Sequence[str], make_twin: TwinMaker = processes.twin) -> int:
    """`make_twin` lets tests put another program where the twin stands."""
    arguments = _parser().parse_args(argv)
    try:
        clusters = read_clusters(arguments.clusters) if arguments.clusters else DEFAULT_CLUSTERS
    except ConfigurationError as error:
        tell(str(error))
        return 1
    settings = Settings(
        directory=arguments.directory,
        clusters=clusters,
        port=arguments.port,
        api_port=arguments.api_port,
        propagation_delay=arguments.propagation_delay,
        ready_seconds=arguments.ready_timeout,
        make_twin=make_twin,
    )
    with _view(arguments.output) as view:

        def ready(state: WorldState) -> None:
            _ready(state, arguments.directory, arguments.output)

        run = Run(settings, arguments.seconds, arguments.load)
        troubles = asyncio.run(run_world(run, Listener(view.tell, ready, view.show)))
    for trouble in troubles:
        tell(f"tidegate up: {trouble}")
    return 1 if troubles else 0


def _view(output: str) -> View:
    if output == "json":
        return Silent()
    if not sys.stdout.isatty():
        return PlainLines()
    from rich.console import Console

    console = Console()
    return PlainLines() if console.is_dumb_terminal else LiveTable(console)


def _ready(state: WorldState, directory: Path, output: str) -> None:
    if output == "json":
        write(state.to_json().rstrip())
        return
    _print_table(state)
    write(f"\nPaste into another terminal:\n\n  cd {shlex.quote(str(Path.cwd()))}")
    for example in examples(state, _program(), directory):
        write(f"\n  # {example.shows}\n  {example.command}")
    write(f"\nAdmin page of {state.pods[0].name}: {state.pods[0].admin}/   Logs: {directory / 'logs'}/")
    write(f"Compute API: {state.twin.api}   Ctrl-C ends everything.\n")


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


def _rate(text: str) -> float:
    """Calls a second."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(?:/s)?", text, re.ASCII)
    if match is None or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f'"{text}" is not a rate such as 300/s')
    return float(match[1])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidegate up",
        description="Start a world of several regions: in each a few pods (a sample app with a gateway\nbeside it), an"
        " issuer of tokens, and in front of all a load balancer as Google has it.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--for",
        dest="seconds",
        type=duration,
        metavar="TIME",
        help="end by itself so long after all is ready, with exit status 0 if all was healthy",
    )
    parser.add_argument(
        "--clusters",
        type=Path,
        metavar="FILE",
        help="YAML with the regions (default: two pods in each of"
        f" {', '.join(cluster.region for cluster in DEFAULT_CLUSTERS)})",
    )
    parser.add_argument(
        "--load", type=_rate, default=0.0, metavar="RATE", help="calls from all regions, 300/s say (default: none)"
    )
    parser.add_argument(
        "--propagation-delay",
        type=duration,
        default=0.0,
        metavar="TIME",
        help="between a change in the API and the traffic that follows it; Google's is some 30s (default: none)",
    )
    for option, default, what in (
        ("--port", DEFAULT_PORT, "the load balancer's port for the first region's clients"),
        ("--api-port", DEFAULT_API_PORT, "the Compute API's port"),
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
