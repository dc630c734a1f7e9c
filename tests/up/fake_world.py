"""`tidegate up` with the fake gateway, as a program: `--fault` and `--spawn` are the fake's, the rest are `up`'s."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.cli import commands, up
from infra.cli import main as cli
from tests.up.fake_gateway import FakeGateway


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--fault", default="none")
    parser.add_argument("--spawn", type=Path)
    mine, rest = parser.parse_known_args(argv)
    return up.main(rest, FakeGateway(mine.fault, mine.spawn))


if __name__ == "__main__":
    commands.COMMANDS = (commands.Command("up", "Test", "", "", "tests.up.fake_world"),)
    sys.exit(cli.main(["up", *sys.argv[1:]]))
