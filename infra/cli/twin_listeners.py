"""`tidegate twin listeners`: where the load balancers of a twin listen on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

from infra.cli.console import tell, write

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMEOUT = 5.0


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    url = f"http://{arguments.api}/twin/v1/listeners"
    try:
        with urlopen(url, timeout=TIMEOUT) as answer:
            found: list[dict[str, Any]] = json.load(answer)["listeners"]
    except (URLError, OSError, ValueError, KeyError) as error:
        tell(f"tidegate twin listeners: no twin answers at {url} ({error}): start `tidegate twin`, or give its --api")
        return 1
    if arguments.output == "json":
        write(json.dumps(found, indent=2))
    elif not found:
        write("No forwarding rule yet.")
    else:
        _print_table(found)
    return 0


def _print_table(listeners: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = ("client region", "address", "port", "protocol", "listens on", "forwarding rule", "")
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for one in listeners:
        rule, state = one["forwardingRule"].rpartition("/")[2], one.get("problem", "" if one["ready"] else "starting")
        table.add_row(
            one["clientRegion"], one["address"], str(one["port"]), one["protocol"], one["listen"], rule, state
        )
    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidegate twin listeners",
        description="Show where the load balancers of a running twin listen: one place for each client region.",
        epilog="Example: tidegate twin listeners --api 127.0.0.1:8085 -o json",
    )
    parser.add_argument("--api", default="127.0.0.1:8085", metavar="HOST:PORT", help="default: 127.0.0.1:8085")
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="default: table")
    return parser
