"""`dns:///name:port` asks name servers for A and AAAA records, `dns:///name` for SRV records.

Unlike `host:port`, which asks the system's resolver, it honours TTLs, tells an empty answer from a failure, and neither
reads /etc/hosts nor holds a thread.
"""

from __future__ import annotations

from gateway.discover.address import is_ip, join
from gateway.discover.dns.source import DnsName
from gateway.discover.dns.target import parse
from gateway.discover.source import Endpoint, Settings, Source
from gateway.discover.static import Static


def check(target: str) -> None:
    """ValueError: it is no such target; says what to write."""
    parse(target)


def open_source(target: str, settings: Settings) -> Source:
    """ValueError as `check`."""
    asked = parse(target)
    if asked.port is not None and is_ip(asked.name):
        return Static((Endpoint(join(asked.name, asked.port)),))
    return DnsName(asked, settings)


def server_name(target: str) -> str:
    """The name itself, whatever it is an alias of; where SRV records of a service are asked for, their domain."""
    name = parse(target).name.rstrip(".")
    while name.startswith("_"):
        _, _, name = name.partition(".")
    return name
