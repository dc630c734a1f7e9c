"""What the world consists of: two pods for each service of the sample app, an issuer, and a gateway before them."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from infra.issuer.server import JWKS_PATH
from infra.sample import DESCRIPTOR_SET, ECHO, REVERSE
from infra.world.children import Child, python_module
from infra.world.probes import GrpcHealthProbe, HttpProbe

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from infra.world.probes import Probe

PODS = {ECHO: ("echo-0", "echo-1"), REVERSE: ("reverse-0", "reverse-1")}
HTTP_BINDINGS = {ECHO: "/v1/echo", REVERSE: "/v1/reverse"}
HEALTH_PATH = "/v1/health"

HOST = "127.0.0.1"
DEFAULT_PORT = 8080
DEFAULT_ADMIN_PORT = 8090
SERVICE_NAME = "sample.tidegate.test"
"""RFC 2606: no name under `.test` will ever be somebody's."""
AUDIENCE = f"https://{SERVICE_NAME}"


class PortInUseError(Exception):
    """A port that was asked for cannot be had; the message names it."""


@dataclass(frozen=True, slots=True)
class GatewayPlan:
    """What the gateway is to do: `pods` are `host:port` by service; files that it needs go into `directory`."""

    port: int
    admin_port: int
    directory: Path
    pods: Mapping[str, tuple[str, ...]]
    issuer_url: str

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"http://{HOST}:{self.admin_port}"

    @property
    def jwks_uri(self) -> str:
        return self.issuer_url + JWKS_PATH

    @property
    def descriptors(self) -> Path:
        return self.directory / DESCRIPTOR_SET.name


class GatewayMaker(Protocol):
    def __call__(self, plan: GatewayPlan) -> Child:
        """Writes what the plan's gateway needs and says how to start it. OSError."""


def pod(service: str, name: str) -> Child:
    return Child(name, python_module("infra.sample", "--service", service, "--name", name), announces=True)


def issuer(directory: Path) -> Child:
    return Child("issuer", python_module("infra.issuer", "--directory", str(directory)), announces=True)


def pod_probes(service: str, pods: Mapping[str, str]) -> list[Probe]:
    """`pods`: addresses by name."""
    return [GrpcHealthProbe(name, address, service) for name, address in pods.items()]


def gateway_probes(plan: GatewayPlan) -> list[Probe]:
    return [
        HttpProbe("gateway", f"{plan.admin_url}/readyz"),
        HttpProbe("health through the gateway", plan.url + HEALTH_PATH),
    ]


def call_probes(plan: GatewayPlan, token: str) -> list[Probe]:
    """Each service has to be refused without a token and served with one."""
    probes: list[Probe] = []
    for service, path in HTTP_BINDINGS.items():
        headers = {"content-type": "application/json"}
        request = HttpProbe(f"{service} without a token", plan.url + path, "POST", headers, b'{"content":"hello"}', 401)
        probes.append(request)
        headers = {**headers, "authorization": f"Bearer {token}"}
        probes.append(HttpProbe(f"{service} with a token", request.url, "POST", headers, request.body, 200))
    return probes


def choose_port(wanted: int | None, default: int) -> int:
    """The port that was asked for, else the default where it is free, else any. PortInUseError, OSError."""
    if wanted:
        if not _is_free(wanted):
            raise PortInUseError(f"port {wanted} of {HOST} is in use: choose another, or 0 for any free one")
        return wanted
    if wanted is None and _is_free(default):
        return default
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True
