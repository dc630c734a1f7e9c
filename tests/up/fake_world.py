"""`tidegate up` with the fake gateway, as a program: `--fault` and `--spawn` are the fake's, the rest are `up`'s."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from infra.cli.up import main
from tests.up.fake_gateway import FakeGateway

if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--fault", default="none")
    parser.add_argument("--spawn", type=Path)
    mine, rest = parser.parse_known_args()
    sys.exit(main(rest, FakeGateway(mine.fault, mine.spawn)))
