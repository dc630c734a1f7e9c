"""`tidegate fault`: breaks pods of the world that runs, and heals them."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import TYPE_CHECKING

from infra.cli.arguments import add_directory
from infra.cli.console import tell, write
from infra.faults.kinds import FAULTS, HEAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.faults.outcome import Outcome

EXAMPLES = """\
Examples:
  tidegate fault kill us-central1            a whole region
  tidegate fault hang europe-west1/0         one pod of it
  tidegate fault heal us-central1            undo whatever is wrong there
  tidegate fault kill us-central1 -o json    what became of each pod, for programs
"""


def main(argv: Sequence[str]) -> int:
    from infra.faults.control import order
    from infra.faults.outcome import SomeFailed
    from infra.faults.target import FaultError

    arguments = _parser().parse_args(argv)
    outcomes: Sequence[Outcome] = ()
    failure: FaultError | None = None
    try:
        outcomes = asyncio.run(order(arguments.directory, arguments.fault, arguments.where))
    except SomeFailed as error:
        outcomes, failure = error.outcomes, error
    except FaultError as error:
        failure = error
    if arguments.output == "json":
        _write_json(outcomes, failure)
    elif failure is None:
        for outcome in outcomes:
            write(str(outcome))
    if failure is not None:
        tell(f"tidegate fault: {failure}")
    return 1 if failure else 0


def _write_json(outcomes: Sequence[Outcome], failure: Exception | None) -> None:
    document = {"pods": [outcome.as_dict() for outcome in outcomes], "error": str(failure) if failure else None}
    write(json.dumps(document, indent=2))


def _parser() -> argparse.ArgumentParser:
    width = max(len(name) for name in FAULTS)
    faults = [f"  {name:<{width}}  {what}" for name, what in FAULTS.items()]
    faults.append(f"  {HEAL:<{width}}  whatever is wrong there is undone, and what is gone is started anew")
    parser = argparse.ArgumentParser(
        prog="tidegate fault",
        description="Break pods of the world that `tidegate up` runs, or heal them:\n\n" + "\n".join(faults),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("fault", choices=(*FAULTS, HEAL), metavar="FAULT", help="one of the above")
    parser.add_argument("where", metavar="REGION[/POD]", help="a region, or one pod such as us-central1/0")
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="what to print of each pod (default: text)"
    )
    add_directory(parser)
    return parser
