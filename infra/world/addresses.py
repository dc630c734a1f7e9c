"""Finds ports and addresses that nobody uses. A block of loopback addresses is held for as long as its world lives."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from infra.ports import bind, is_free
from infra.world.errors import WorldError
from infra.world.layout import HOST, Block, Layout

if TYPE_CHECKING:
    from pathlib import Path

    from infra.world.clusters import Cluster

FIRST_BLOCK = 10
LAST_BLOCK = 250
PORTS = ((8443, 50051, 8080), (18443, 15051, 18080))
"""Of gateways, apps and the issuer; the second choice is for machines where somebody has one of the first on all
addresses."""


class PortInUseError(WorldError):
    """A port or block of addresses cannot be had; the message says which."""


@contextmanager
def claimed_layout(directory: Path, clusters: tuple[Cluster, ...]) -> Iterator[Layout]:
    """A layout on addresses that no other world has until the end of the block. PortInUseError, OSError.

    What holds the claim is a socket that is bound and never used, which the kernel takes back from a killed process.
    """
    for ports in PORTS:
        for number in range(FIRST_BLOCK, LAST_BLOCK + 1):
            layout = Layout(directory, clusters, Block(number, *ports))
            with socket.socket() as claim:
                if bind(claim, layout.block.host(0, 1), layout.block.gateway_port) and _is_unused(layout):
                    yield layout
                    return
    raise PortInUseError(
        f"no block of addresses from 127.{FIRST_BLOCK}.0.0/16 to 127.{LAST_BLOCK}.0.0/16 is free:"
        " end other worlds, or whatever listens there (`ss -ltnp`)"
    )


def choose_port(wanted: int | None, default: int) -> int:
    """The port that was asked for, else the default where it is free, else 0, any. PortInUseError, OSError."""
    if wanted:
        if not is_free(HOST, wanted):
            raise PortInUseError(f"port {wanted} of {HOST} is in use, or root's: choose another, or 0 for any free one")
        return wanted
    return default if wanted is None and is_free(HOST, default) else 0


def _is_unused(layout: Layout) -> bool:
    issuer, _, port = layout.block.issuer.rpartition(":")
    wanted = [(issuer, int(port))]
    for pod in layout.pods:
        wanted += [(pod.host, pod.gateway_port), (pod.host, pod.app_port), (pod.host, pod.admin_port)]
    return all(is_free(host, port) for host, port in wanted)
