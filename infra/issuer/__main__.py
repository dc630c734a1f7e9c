"""`python -m infra.issuer`: serves the development issuer's public keys."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from infra.issuer.keys import KeyFileError
from infra.issuer.server import run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.issuer", description="Serve a development issuer's keys.")
    parser.add_argument("--directory", type=Path, required=True, help="where the keys lie, or are made at first use")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on, 0 for any free one")
    parser.add_argument("--ready-fd", type=int, help="descriptor that gets a line of JSON when the issuer serves")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        asyncio.run(run(arguments.directory, arguments.host, arguments.port, arguments.ready_fd))
    except (KeyFileError, OSError) as error:
        sys.exit(f"issuer: {error}")


if __name__ == "__main__":
    main()
