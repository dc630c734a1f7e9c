"""`tidegate up` with the fake twin, as a program: `--fault` and `--spawn` are the fake's, the rest are `up`'s.

With `--patient` it waits for an hour until it kills a child that does not end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.cli import commands, up
from infra.cli import main as cli
from infra.world import group
from tests.up.fake_twin import FakeTwinMaker


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--fault", default="none")
    parser.add_argument("--spawn", type=Path)
    parser.add_argument("--patient", action="store_true")
    mine, rest = parser.parse_known_args(argv)
    if mine.patient:
        group.STOP_SECONDS = 3600.0
    return up.main(rest, FakeTwinMaker(mine.fault, mine.spawn))


if __name__ == "__main__":
    commands.COMMANDS = (commands.Command("up", "Test", "", "", "tests.up.fake_world"),)
    sys.exit(cli.main(["up", *sys.argv[1:]]))
