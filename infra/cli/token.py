"""`tidegate token`: prints a token of the development issuer."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING, Any, get_args

from infra.cli.arguments import add_directory, duration
from infra.cli.console import tell, write
from infra.issuer.keys import ALGORITHMS, DIRECTORY, KeyFileError, load_key
from infra.issuer.tokens import Fault, Order, mint
from infra.world.state import NotRunningError, read_issuer

if TYPE_CHECKING:
    from collections.abc import Sequence

FAULT_HELP: dict[Fault, str] = {
    "expired": "a token whose time is over",
    "not-yet-valid": "a token whose time has not come",
    "wrong-audience": "a token for somebody else",
    "wrong-key": "a token that was signed by somebody else",
}


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    try:
        issuer, audiences = _addressee(arguments)
        key = load_key(arguments.directory / DIRECTORY, arguments.alg)
    except (NotRunningError, KeyFileError) as error:
        tell(f"tidegate token: {error}")
        return 1
    order = Order(
        issuer=issuer,
        audiences=audiences,
        subject=arguments.sub,
        lifetime=arguments.ttl,
        faults=frozenset(fault for fault in get_args(Fault) if getattr(arguments, fault.replace("-", "_"))),
        claims=dict(arguments.claim),
    )
    write(mint(order, key, time.time()))
    return 0


def _addressee(arguments: argparse.Namespace) -> tuple[str, tuple[str, ...]]:
    """(iss, aud) as given, else those of the world that runs."""
    issuer, audiences = arguments.issuer, tuple(arguments.aud)
    if issuer is None or not audiences:
        state = read_issuer(arguments.directory)
        issuer, audiences = issuer or state.url, audiences or (state.audience,)
    return issuer, audiences


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidegate token",
        description="Print a token that the gateway of `tidegate up` accepts, or one that it must refuse.",
        epilog='Example: curl -H "Authorization: Bearer $(tidegate token --sub alice)" ...',
    )
    parser.add_argument("--sub", default="developer", metavar="NAME", help="subject (default: %(default)s)")
    parser.add_argument(
        "--aud", action="append", default=[], metavar="URL", help="audience, repeatable (default: the gateway's)"
    )
    parser.add_argument(
        "--ttl", type=duration, default=3600.0, metavar="TIME", help="how long it is valid (default: 1h)"
    )
    parser.add_argument("--alg", choices=ALGORITHMS, default=ALGORITHMS[0], help="signature (default: %(default)s)")
    parser.add_argument(
        "--claim",
        type=_claim,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a further claim, repeatable; a value that is JSON is taken as such, any other as text",
    )
    parser.add_argument("--issuer", metavar="URL", help="iss (default: the issuer of `tidegate up`)")
    add_directory(parser)
    faults = parser.add_argument_group("tokens that have to be refused")
    for fault, text in FAULT_HELP.items():
        faults.add_argument(f"--{fault}", action="store_true", help=text)
    return parser


def _claim(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f'"{text}" is not NAME=VALUE')
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
