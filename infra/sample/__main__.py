"""`python -m infra.sample`: one pod of the sample app."""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path

from infra.sample import SERVICES
from infra.sample.server import run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.sample", description="Serve one pod of the sample app.")
    parser.add_argument("--service", choices=SERVICES, action="append", help="repeatable (default: all of them)")
    parser.add_argument("--name", required=True, help="the pod's name, sent in the response header `hostname`")
    parser.add_argument("--address", default="127.0.0.1:0", help="host:port to listen on (default: %(default)s)")
    parser.add_argument("--ready-fd", type=int, help="descriptor that gets a line of JSON when the pod serves")
    parser.add_argument("--control", type=Path, help="path of a Unix socket that makes it slow or busy (default: none)")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options = (arguments.address, arguments.ready_fd, arguments.control)
    asyncio.run(run(arguments.service or SERVICES, arguments.name, *options))


if __name__ == "__main__":
    main()
