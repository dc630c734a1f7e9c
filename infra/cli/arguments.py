"""Types of options that several commands have."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from infra.world.state import DEFAULT_DIRECTORY

DIRECTORY_VARIABLE = "TIDEGATE_DIRECTORY"


def duration(text: str) -> float:
    """Seconds, more than none of them."""
    # What reads a gateway's configuration comes with it: most calls of these commands need none of that.
    from gateway.configuration.quantities import parse_duration

    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f'"{text}" is no time at all')
    return seconds


def port(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f'"{text}" is not a port: give a number up to 65535, or 0 for any free one')
    return number


def add_directory(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(os.environ.get(DIRECTORY_VARIABLE) or DEFAULT_DIRECTORY),
        metavar="PATH",
        help=f"where keys, logs and up.json lie (env {DIRECTORY_VARIABLE}; default: {DEFAULT_DIRECTORY})",
    )
