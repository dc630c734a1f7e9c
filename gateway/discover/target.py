"""What an operator may write as a backend's target, and what the core wants as an endpoint's address."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Name:
    """A host name that has to be resolved."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Literal:
    """An address that needs no resolution, as the core writes it."""

    address: str


def parse(target: str) -> Name | Literal:
    """Reads `host:port`, `[v6]:port` or `unix:///path`. ValueError: it is none of these."""
    if target.startswith("unix://"):
        return Literal(target)
    host, colon, digits = target.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not digits.isascii() or not digits.isdigit() or not 0 < int(digits) < 65536:
        raise ValueError(f"{target!r} is no backend target: write host:port, [v6 address]:port or unix:///path.")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return Name(host, int(digits))
    return Literal(join(host, int(digits)))


def join(host: str, port: int) -> str:
    """An address and a port as one text; an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
