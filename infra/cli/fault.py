"""`tidegate fault`: breaks pods of the world that runs, and heals them."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from infra.cli.arguments import add_directory
from infra.cli.console import tell, write
from infra.faults.kinds import FAULTS, HEAL

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = """\
Examples:
  tidegate fault kill us-central1        a whole region
  tidegate fault hang europe-west1/0     one pod of it
  tidegate fault heal us-central1        undo whatever is wrong there
"""


def main(argv: Sequence[str]) -> int:
    from infra.faults.control import order
    from infra.faults.target import FaultError

    arguments = _parser().parse_args(argv)
    try:
        said = asyncio.run(order(arguments.directory, arguments.fault, arguments.where))
    except FaultError as error:
        tell(f"tidegate fault: {error}")
        return 1
    for sentence in said:
        write(sentence)
    return 0


def _parser() -> argparse.ArgumentParser:
    width = max(len(name) for name in FAULTS)
    faults = [f"  {name:<{width}}  {what}" for name, what in FAULTS.items()]
    faults.append(f"  {HEAL:<{width}}  whatever is wrong there is undone")
    parser = argparse.ArgumentParser(
        prog="tidegate fault",
        description="Break pods of the world that `tidegate up` runs, or heal them:\n\n" + "\n".join(faults),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("fault", choices=(*FAULTS, HEAL), metavar="FAULT", help="one of the above")
    parser.add_argument("where", metavar="REGION[/POD]", help="a region, or one pod such as us-central1/0")
    add_directory(parser)
    return parser
