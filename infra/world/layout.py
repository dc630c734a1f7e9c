"""Where everything in a world is: addresses, ports, names and folders, by its clusters and its block of addresses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.issuer.server import JWKS_PATH
from infra.sample import DESCRIPTOR_SET, ECHO, REVERSE

if TYPE_CHECKING:
    from pathlib import Path

    from infra.world.clusters import Cluster

HOST = "127.0.0.1"
API_HOST = "api.tidegate.test"
"""What clients call. RFC 2606: no name under `.test` will ever be somebody's."""
AUDIENCE = f"https://{API_HOST}"
PROJECT = "demo"

HTTP_BINDINGS = {ECHO: "/v1/echo", REVERSE: "/v1/reverse"}
HEALTH_PATH = "/v1/health"

DEFAULT_PORT = 8443
"""Of the load balancer, for the first client region."""
DEFAULT_API_PORT = 8085
FIRST_ADMIN_PORT = 10_000
PORTS_OF_A_BLOCK = 64


@dataclass(frozen=True, slots=True)
class Block:
    """The addresses 127.`number`.0.0/16, which one world has for itself, and the ports that it uses there."""

    number: int
    gateway_port: int = 8443
    app_port: int = 50051
    issuer_port: int = 8080

    def host(self, region: int, pod: int) -> str:
        """Both count from 1; region 0 is what belongs to no region."""
        return f"127.{self.number}.{region}.{pod}"

    @property
    def issuer(self) -> str:
        """`host:port`."""
        return f"{self.host(0, 1)}:{self.issuer_port}"

    def admin_port(self, index: int) -> int:
        """Of the gateway of the world's pod `index`. A gateway serves its admin pages on all addresses, so that the
        ports of two worlds have to differ as well."""
        return FIRST_ADMIN_PORT + self.number * PORTS_OF_A_BLOCK + index


@dataclass(frozen=True, slots=True)
class PodPlan:
    """One pod: the sample app and the gateway beside it, both on an address of the pod's own."""

    name: str
    region: str
    zone: str
    host: str
    gateway_port: int
    app_port: int
    admin_port: int
    directory: Path

    @property
    def label(self) -> str:
        """Its name where a slash cannot be: of files, and of the instance that the load balancer is told."""
        return self.name.replace("/", "-")

    @property
    def endpoint(self) -> str:
        """`host:port` of its gateway, which is what the load balancer connects to."""
        return f"{self.host}:{self.gateway_port}"

    @property
    def app(self) -> str:
        return f"{self.host}:{self.app_port}"

    @property
    def health_url(self) -> str:
        return f"https://{self.endpoint}{HEALTH_PATH}"

    @property
    def admin_url(self) -> str:
        return f"http://{self.host}:{self.admin_port}"

    @property
    def control(self) -> Path:
        """The socket of the sample app's controls."""
        return self.directory / "control"


@dataclass(frozen=True, slots=True)
class Layout:
    """`directory` is absolute."""

    directory: Path
    clusters: tuple[Cluster, ...]
    block: Block

    @property
    def pods(self) -> tuple[PodPlan, ...]:
        plans: list[PodPlan] = []
        for position, cluster in enumerate(self.clusters, 1):
            for number in range(cluster.pods):
                name = f"{cluster.region}/{number}"
                plans.append(
                    PodPlan(
                        name=name,
                        region=cluster.region,
                        zone=cluster.zone,
                        host=self.block.host(position, number + 1),
                        gateway_port=self.block.gateway_port,
                        app_port=self.block.app_port,
                        admin_port=self.block.admin_port(len(plans)),
                        directory=self.directory / "pods" / name.replace("/", "-"),
                    )
                )
        return tuple(plans)

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(cluster.region for cluster in self.clusters)

    @property
    def issuer_url(self) -> str:
        return f"http://{self.block.issuer}"

    @property
    def jwks_uri(self) -> str:
        return self.issuer_url + JWKS_PATH

    @property
    def descriptors(self) -> Path:
        return self.directory / DESCRIPTOR_SET.name

    @property
    def authority(self) -> Path:
        """The certificate that signed the load balancer's."""
        return self.directory / "ca.pem"

    @property
    def load_token(self) -> Path:
        """What the load's calls bring, while there is load."""
        return self.directory / "load.token"

    @property
    def control(self) -> Path:
        """The socket on which the world takes faults."""
        return self.directory / "control.sock"
