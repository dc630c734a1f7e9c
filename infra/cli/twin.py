"""`tidegate twin`: runs the stand-in for Google Cloud alone."""

from __future__ import annotations

import argparse
import asyncio
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from infra.cli.arguments import duration, port
from infra.cli.console import tell, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.twin.process import TwinOptions

EXAMPLES = """\
Example:
  tidegate twin --port 8085 --state twin.db
  curl -X POST -H 'Content-Type: application/json' -d '{"name": "vip"}' \\
      http://127.0.0.1:8085/compute/v1/projects/demo/global/addresses

Clients find it by: gcloud config set api_endpoint_overrides/compute http://127.0.0.1:8085/compute/v1/ (and
auth/disable_credentials true); Terraform's compute_custom_endpoint, the same URL; google-cloud-compute's
ClientOptions(api_endpoint="http://127.0.0.1:8085"). Tokens: GCE_METADATA_HOST=127.0.0.1:8085.

Managed certificates are signed by the twin's own authority, which clients trust by:
  curl -o ca.pem http://127.0.0.1:8085/twin/v1/ca.pem
"""


def main(argv: Sequence[str]) -> int:
    if argv[:1] == ["listeners"]:
        from infra.cli.twin_listeners import main as listeners

        return listeners(argv[1:])
    from infra.twin.front_end.front_end import FrontEndOptions
    from infra.twin.process import TwinOptions

    arguments = _parser().parse_args(argv)
    options = TwinOptions(
        host=arguments.host,
        port=arguments.port,
        state=arguments.state,
        project=arguments.project,
        operation_time=arguments.operation_time,
        strict=arguments.strict,
        reads=arguments.read_quota,
        token_lifetime=arguments.token_lifetime,
        wants_token=arguments.require_token,
        propagation_delay=arguments.propagation_delay,
        front_end=FrontEndOptions(
            client_regions=tuple(dict.fromkeys(arguments.client_region or FrontEndOptions().client_regions)),
            first_port=arguments.listen_port,
            access_log=arguments.access_log,
            enforce_firewalls=arguments.enforce_firewalls,
        ),
    )
    try:
        asyncio.run(_run(options, arguments.ready_fd))
    except OSError as error:
        tell(f"tidegate twin: {error}")
        return 1
    return 0


async def _run(options: TwinOptions, ready_descriptor: int | None) -> None:
    from infra.announcement import announce
    from infra.twin.process import twin

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with twin(options) as address:
        announce(ready_descriptor, address)
        write(f"http://{address}/compute/v1/")
        tell(f"The twin serves Google's Compute API at http://{address}; Ctrl-C ends it.")
        await stop.wait()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidegate twin",
        description="Stand in for the part of Google Cloud that a global load balancer lives in: checked as Google"
        " checks, with operations, fingerprints, references and faults; and carry traffic as written there. Prints the"
        " URL that it serves. `tidegate twin listeners` shows where its load balancers listen.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="default: 127.0.0.1")
    parser.add_argument("--port", type=port, default=8085, metavar="NUMBER", help="0 for any free one (default: 8085)")
    parser.add_argument(
        "--state", type=Path, metavar="FILE", help="keep everything in this SQLite file (default: in memory alone)"
    )
    parser.add_argument(
        "--project",
        default="tidegate-twin",
        metavar="ID",
        help="what the metadata server says; resources may be of any project (default: tidegate-twin)",
    )
    parser.add_argument(
        "--operation-time",
        type=duration,
        default=0.0,
        metavar="TIME",
        help="how long an operation takes before anything has changed (default: none, DONE at once)",
    )
    parser.add_argument(
        "--propagation-delay",
        type=duration,
        default=0.0,
        metavar="TIME",
        help="from an operation's end to the traffic following it; Google's is about 30s (default: none)",
    )
    parser.add_argument(
        "--client-region",
        action="append",
        metavar="REGION",
        help="where clients are, once for each; every one gets listeners of its own (default: us-central1,"
        " europe-west1, asia-east1)",
    )
    parser.add_argument(
        "--listen-port",
        type=port,
        default=0,
        metavar="NUMBER",
        help="the first port of the listeners; the next ones follow where they are free (default: any)",
    )
    parser.add_argument(
        "--access-log",
        default="",
        metavar="PATH",
        help="where requests to backend services with a logConfig are logged, - for standard output (default: nowhere)",
    )
    parser.add_argument(
        "--enforce-firewalls",
        action="store_true",
        help="send probes and requests only where firewall rules let 35.191.0.0/16 and 130.211.0.0/22 in, as Google's"
        " networks do (default: rules are only kept)",
    )
    parser.add_argument("--ready-fd", type=int, help=argparse.SUPPRESS)
    parser.add_argument(
        "--strict", action="store_true", help="refuse fields that Google would ignore: unknown, output only, null"
    )
    parser.add_argument(
        "--read-quota",
        type=_count,
        default=0,
        metavar="NUMBER",
        help="reads a minute before 403 rateLimitExceeded; Google's is 1500 (default: no limit)",
    )
    parser.add_argument(
        "--require-token", action="store_true", help="answer 401 to requests without a token that the twin gave"
    )
    parser.add_argument(
        "--token-lifetime", type=duration, default=3600.0, metavar="TIME", help="of the tokens it gives (default: 1h)"
    )
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number')
    return int(text)
