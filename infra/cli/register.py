"""`tidegate register`: announces a server in etcd or Consul for as long as the command runs."""

from __future__ import annotations

import argparse
import asyncio
import os
from typing import TYPE_CHECKING

from infra.cli.arguments import duration
from infra.cli.console import tell

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.registration.announcement import Registration, Server

ADDRESS_VARIABLE = "TIDEGATE_REGISTER_ADDRESS"
SHORTEST_TTL = 3.0
"""Seconds; etcd grants no shorter lease with its default election time-out."""

EXAMPLES = """\
Examples:
  tidegate register etcd services/echo --address 10.0.0.7:50051 --weight 2 --metadata zone=europe-west1-b
  POD_IP=10.0.0.7 POD_NAME=echo-0 tidegate register consul echo --address :50051 --ttl 10s

Where the registry is and who we are there is read from the variables of its own tools: ETCDCTL_ENDPOINTS, _USER,
_CACERT, _CERT, _KEY; CONSUL_HTTP_ADDR, _HTTP_TOKEN, _HTTP_SSL, _CACERT, _CLIENT_CERT, _CLIENT_KEY. A gateway finds what
is announced with the targets etcd:///services/echo and consul:///echo?passing.
"""


def main(argv: Sequence[str]) -> int:
    return asyncio.run(_run(argv))


async def _run(argv: Sequence[str]) -> int:
    from infra.registration.announcement import until_signalled

    return 0 if await until_signalled(parse(argv, os.environ), tell) else 1


def parse(argv: Sequence[str], environment: Mapping[str, str]) -> Registration:
    """What a command line asks for. SystemExit: it is wrong, or asks for help."""
    from gateway.discover.address import join
    from infra.registration.announcement import Server

    parser = _parser(environment)
    arguments = parser.parse_args(argv)
    try:
        host, port = _address(arguments.address, environment)
        name = arguments.id or environment.get("POD_NAME") or join(host, port)
        server = Server(name, host, port, arguments.ttl, arguments.weight, dict(arguments.metadata))
        return _registration(arguments, server, environment)
    except ValueError as error:
        parser.error(str(error))


def _registration(arguments: argparse.Namespace, server: Server, environment: Mapping[str, str]) -> Registration:
    """ValueError: the registry's address or the service's name is none."""
    if arguments.kind == "etcd":
        from gateway.discover.etcd.access import read_access as read_etcd
        from gateway.discover.etcd.client import Etcd
        from infra.registration.etcd import EtcdRegistration

        if arguments.tag:
            raise ValueError("--tag is Consul's; in etcd use --metadata")
        return EtcdRegistration(Etcd(read_etcd(arguments.registry, environment)), arguments.service, server)
    from gateway.discover.consul.access import read_access as read_consul
    from gateway.discover.consul.client import Consul
    from infra.registration.consul import ConsulRegistration

    if "/" in arguments.service:
        raise ValueError(f"{arguments.service!r} is no name of a service in Consul")
    client = Consul(read_consul(arguments.registry, environment))
    return ConsulRegistration(client, arguments.service, server, arguments.tag)


def _address(text: str, environment: Mapping[str, str]) -> tuple[str, int]:
    """Host and port of `host:port`, `[v6]:port` or `:port`, the host then being POD_IP. ValueError."""
    from gateway.discover.address import join, split

    port = text.removeprefix(":")
    if port != text:
        if not environment.get("POD_IP"):
            raise ValueError(f"--address {text} has no host and POD_IP is not set: write host:port")
        text = join(environment["POD_IP"], int(port)) if port.isdecimal() else text
    try:
        return split(text)
    except ValueError:
        raise ValueError(f"--address {text} is neither host:port nor :port") from None


def _parser(environment: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tidegate register",
        description="Announce a server in a registry until this command ends: again whenever the registry lost it, and"
        " no more on SIGTERM or Ctrl-C.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=("etcd", "consul"), help="the registry")
    parser.add_argument("service", metavar="SERVICE", help="etcd: the prefix of the service's keys; Consul: its name")
    parser.add_argument(
        "--address",
        default=environment.get(ADDRESS_VARIABLE),
        required=ADDRESS_VARIABLE not in environment,
        metavar="HOST:PORT",
        help=f"where the server listens; :PORT stands for POD_IP:PORT (env {ADDRESS_VARIABLE})",
    )
    parser.add_argument(
        "--id", default="", metavar="NAME", help="its name among the servers (default: POD_NAME, else its address)"
    )
    parser.add_argument(
        "--ttl",
        type=_ttl,
        default=15.0,
        metavar="TIME",
        help="the registry drops the server when nothing was heard of it for so long (default: 15s)",
    )
    parser.add_argument(
        "--metadata", type=_pair, action="append", default=[], metavar="KEY=VALUE", help="kept with it, repeatable"
    )
    parser.add_argument(
        "--weight", type=_weight, default=1, metavar="NUMBER", help="its share of requests (default: 1)"
    )
    parser.add_argument("--tag", action="append", default=[], metavar="NAME", help="a tag in Consul, repeatable")
    parser.add_argument(
        "--registry",
        default="",
        metavar="ADDRESS",
        help="host:port or URL of Consul's agent, or of etcd's members with commas (default: as the variables say)",
    )
    return parser


def _ttl(text: str) -> float:
    seconds = duration(text)
    if seconds < SHORTEST_TTL:
        raise argparse.ArgumentTypeError(f'"{text}" is shorter than {SHORTEST_TTL:g}s')
    return seconds


def _weight(text: str) -> int:
    from gateway.discover.registry.entries import Unusable, read_weight

    try:
        return read_weight(text)
    except Unusable:
        raise argparse.ArgumentTypeError(f'"{text}" is not a whole number from 1 to 65535') from None


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f'"{text}" is not KEY=VALUE')
    return key, value
