"""What stands in a `dns:` target: `dns://[server[:port],...]/name[:port][?interval=TIME]`.

The form is that of gRPC's name resolution (grpc/doc/naming.md), with several servers and an interval added. It differs
in one thing: without a port, gRPC takes 443; here the name's SRV records say it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

from gateway.configuration.problems import did_you_mean
from gateway.configuration.quantities import has_scheme, join_host_port, parse_duration, split_host_port
from gateway.discover.address import is_ip

DNS_PORT = 53

SHORTEST_INTERVAL = 0.1
"""Seconds."""

_EXAMPLE = "dns:///app.default:50051"
_OPTIONS = ("interval",)


@dataclass(frozen=True, slots=True)
class DnsTarget:
    """`port` None: SRV records say it. `servers` () are those of resolv.conf. `interval` None: the TTL counts."""

    name: str
    port: int | None = None
    servers: tuple[tuple[str, int], ...] = ()
    interval: float | None = None

    @property
    def service(self) -> str:
        """The name whose SRV records count: as it is where it says a service itself (RFC 2782)."""
        return self.name if self.name.startswith("_") else f"_grpc._tcp.{self.name}"


def parse(target: str) -> DnsTarget:
    """ValueError says what is wrong and what to write."""
    authority, slash, rest = target.removeprefix("dns://").partition("/")
    if not target.startswith("dns://") or not slash:
        raise ValueError(f'"{target}": a name server stands before the name, or nothing: write {_EXAMPLE}')
    path, _, query = rest.partition("?")
    try:
        name, port = _name(path)
        return DnsTarget(name, port, parse_servers(authority) if authority else (), _interval(query))
    except ValueError as error:
        raise ValueError(f"{target}: {error}") from None


def parse_servers(text: str) -> tuple[tuple[str, int], ...]:
    """(host, port) of `host[:port]`, several with commas. ValueError names the one that is wrong."""
    servers = tuple(split_host_port(server.strip(), DNS_PORT) for server in text.split(","))
    for host, port in servers:
        if port == 0:
            raise ValueError(f'"{join_host_port(host, port)}": a name server cannot listen on port 0')
    return servers


def at_servers(target: str, servers: str) -> str:
    """The target with its name asked for at these servers, unless it holds no name or names servers of its own.

    ValueError: `servers` are none.
    """
    parse_servers(servers)
    if target.startswith("dns:///"):
        return f"dns://{servers}/{target.removeprefix('dns:///')}"
    if target.startswith("unix:") or has_scheme(target) or is_ip(split_host_port(target)[0]):
        return target
    return f"dns://{servers}/{target}"


def _name(path: str) -> tuple[str, int | None]:
    if not path:
        raise ValueError(f"a name is missing: write {_EXAMPLE}")
    if "/" in path:
        raise ValueError(f'"{path}" is not NAME or NAME:PORT')
    has_port = "]:" in path if path.startswith("[") else ":" in path
    host, port = split_host_port(path, None if has_port else DNS_PORT)
    if has_port and port == 0:
        raise ValueError("a backend cannot listen on port 0")
    if not is_ip(host) and any(len(label) > 63 for label in host.split(".")):
        raise ValueError(f'"{host}" has a label of more than 63 characters')
    if host.startswith("_") and has_port:
        raise ValueError(f'"{host}" names SRV records, which say the port: leave it out')
    if is_ip(host) and not has_port:
        raise ValueError(f'"{host}" is an address: write it with its port')
    return host, port if has_port else None


def _interval(query: str) -> float | None:
    if not query:
        return None
    options = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    for name, _ in options:
        if name not in _OPTIONS:
            hint = did_you_mean(name, _OPTIONS)
            raise ValueError(f'there is no option "{name}"{f"; {hint}" if hint else ", only interval"}')
    if len(options) > 1:
        raise ValueError("interval is given a second time")
    interval = parse_duration(options[0][1])
    if interval < SHORTEST_INTERVAL:
        raise ValueError(f'an interval of "{options[0][1]}" is less than {SHORTEST_INTERVAL * 1000:.0f}ms')
    return interval
