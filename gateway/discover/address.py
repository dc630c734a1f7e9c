"""What the core takes as an endpoint's address."""

from __future__ import annotations

import ipaddress


def split(target: str) -> tuple[str, int]:
    """Host and port of `host:port` or `[v6]:port`. ValueError: it is neither."""
    host, colon, digits = target.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not digits.isascii() or not digits.isdigit() or not 0 < int(digits) < 65536:
        raise ValueError(f"{target!r} is no backend target: write host:port, [v6 address]:port or unix:///path.")
    return host, int(digits)


def is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def join(host: str, port: int) -> str:
    """An address and a port as one text; an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
