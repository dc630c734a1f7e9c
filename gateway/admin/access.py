"""Who may see the pages with details: callers on this machine, and those who use the address that an operator opened.

A browser on this machine is a caller that anybody can steer: a page from elsewhere may make it ask a name of its own,
which then resolves to loopback (DNS rebinding). So the Host header has to be an address or `localhost`; no foreign page
can make a browser send these for its own name.
"""

from __future__ import annotations

import ipaddress

from gateway.keys.location import is_loopback


def may_see_details(local: str, host: str, opened: str | None) -> str | None:
    """None when the pages with details may be shown, else the reason why not.

    `local` is the address of ours that the caller connected to, `host` its Host header, `opened` is `--admin_address`:
    an IP address, and `0.0.0.0` or `::` for all of them.
    """
    address = _unmapped(local)
    if not is_loopback(address) and not _is_opened(address, opened):
        return "This page is shown on loopback only. Start with --admin_address to open it to another address."
    name = _host_name(host)
    if not _is_address(name) and not is_loopback(name):
        return "The Host header names neither an address of this machine nor localhost."
    return None


def _is_opened(address: str, opened: str | None) -> bool:
    if opened is None or not _is_address(opened) or not _is_address(address):
        return False
    wanted = ipaddress.ip_address(opened)
    return wanted.is_unspecified or wanted == ipaddress.ip_address(address)


def _unmapped(address: str) -> str:
    """An IPv4 address as such when a dual-stack socket shows it as `::ffff:a.b.c.d`."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def _host_name(host: str) -> str:
    """The host of `host`, `host:port` or `[v6]:port`."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
