"""Which port of a slice a target means. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.discover.kubernetes.objects import Port, Service

GRPC_PROTOCOLS = ("grpc", "kubernetes.io/h2c")
"""Values of `appProtocol`: Istio's, and Kubernetes' own name for HTTP/2 without TLS (KEP-3726)."""


class NoPort(Exception):
    """Says which port is missing or not clear, and which there are."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`name` None: whichever port speaks gRPC. `number` serves where a slice leaves its port open."""

    name: str | None = None
    number: int | None = None


def of_service(number: int, service: Service) -> Wanted:
    """The port that a Service offers at `number`. Slices call it by its name, whatever number pods listen on."""
    for port in service.ports:
        if port.number == number:
            return Wanted(port.name, number)
    raise NoPort(f"the Service has no TCP port {number}: {_listed(service.ports)}.")


def choose(ports: Sequence[Port], wanted: Wanted) -> int:
    """The number that the members of a slice with these ports listen on. Raises NoPort."""
    port = _by_protocol(ports) if wanted.name is None else _by_name(ports, wanted.name)
    number = port.number or wanted.number
    if number is None:
        raise NoPort("the port is left open, so write the number behind the name.")
    return number


def speaks_grpc(port: Port) -> bool:
    """By `appProtocol`, else by the name: `grpc` or `grpc-*`, but not gRPC-Web."""
    if port.app_protocol:
        return port.app_protocol.lower() in GRPC_PROTOCOLS
    web = port.name == "grpc-web" or port.name.startswith("grpc-web-")
    return port.name == "grpc" or (port.name.startswith("grpc-") and not web)


def _by_name(ports: Sequence[Port], name: str) -> Port:
    for port in ports:
        if port.name == name:
            return port
    raise NoPort(f"no TCP port has the name {name!r}: {_listed(ports)}.")


def _by_protocol(ports: Sequence[Port]) -> Port:
    candidates = [port for port in ports if speaks_grpc(port)] or list(ports)
    exact = [port for port in candidates if port.name == "grpc" and speaks_grpc(port)]
    if len(exact) == 1 or len(candidates) == 1:
        return (exact or candidates)[0]
    raise NoPort(f"it is not clear which port speaks gRPC: {_listed(ports)}; write :name behind the Service.")


def _listed(ports: Sequence[Port]) -> str:
    if not ports:
        return "there are no ports"
    return "there are " + ", ".join(f"{port.name or '(no name)'} = {port.number or '(open)'}" for port in ports)
