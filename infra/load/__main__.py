"""`python -m infra.load`: the load generator as a process."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from infra.cli.arguments import duration
from infra.load.generator import AUTHORITY, Load, Settings
from infra.load.report import Report
from infra.load.token import TokenFile

if TYPE_CHECKING:
    from collections.abc import Sequence

REPORT_SECONDS = 1.0


def main(argv: Sequence[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        settings = Settings(
            targets=dict(arguments.target),
            rate=arguments.rate,
            certificate=arguments.ca.read_bytes() if arguments.ca else None,
            token=TokenFile(arguments.token_file) if arguments.token_file else lambda: "",
            deadline=arguments.deadline,
            authority=arguments.authority,
        )
        report = Report(arguments.report_fd)
    except OSError as error:
        sys.stderr.write(f"infra.load: {error}\n")
        return 1
    asyncio.run(run(settings, report))
    return 0


async def run(settings: Settings, report: Report) -> None:
    """Sends calls until SIGTERM or SIGINT, or until nobody reads the report."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Load(settings) as load:
        last = time.monotonic()
        while not stop.is_set():
            try:
                async with asyncio.timeout(REPORT_SECONDS):
                    await stop.wait()
            except TimeoutError:
                now = time.monotonic()
                try:
                    report.write(now - last, load.take())
                except BrokenPipeError:
                    return
                last = now


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.load", description="Call the sample app from several client regions at an even pace."
    )
    parser.add_argument(
        "--target",
        type=_target,
        action="append",
        required=True,
        metavar="REGION=HOST:PORT",
        help="where clients of that region connect to, repeatable; calls go to each in turn",
    )
    parser.add_argument("--rate", type=_rate, default=300.0, metavar="NUMBER", help="calls a second (default: 300)")
    parser.add_argument("--ca", type=Path, metavar="PEM", help="authority to trust (default: cleartext HTTP/2)")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="token to send, read again when it changes")
    parser.add_argument("--deadline", type=duration, default=2.0, metavar="TIME", help="of each call (default: 2s)")
    parser.add_argument("--authority", default=AUTHORITY, metavar="HOST", help="default: %(default)s")
    parser.add_argument(
        "--report-fd", type=int, default=1, metavar="NUMBER", help="gets a line of JSON a second (default: 1)"
    )
    return parser


def _target(text: str) -> tuple[str, str]:
    region, equals, address = text.partition("=")
    host, colon, port = address.rpartition(":")
    if not (region and equals and host and colon and port.isdecimal()):
        raise argparse.ArgumentTypeError(f'"{text}" is not REGION=HOST:PORT')
    return region, address


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 100_000:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of calls a second, at most 100000')
    return rate


if __name__ == "__main__":
    sys.exit(main())
