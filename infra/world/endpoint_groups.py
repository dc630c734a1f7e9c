"""What Google's controller in a cluster does: a group of endpoints in each zone, filled as pods come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.world.compute import Compute
    from infra.world.layout import Layout, PodPlan

NAME = "pods"
"""Of the group in each zone."""


def path(zone: str) -> str:
    """Below the project."""
    return f"zones/{zone}/networkEndpointGroups/{NAME}"


def zones(layout: Layout) -> list[str]:
    """Each once, in the order of the clusters."""
    return list(dict.fromkeys(cluster.zone for cluster in layout.clusters))


class EndpointGroups:
    """The groups of a world."""

    def __init__(self, compute: Compute, layout: Layout) -> None:
        self._compute = compute
        self._layout = layout

    async def make(self) -> None:
        """ComputeError."""
        for zone in zones(self._layout):
            group = {
                "name": NAME,
                "networkEndpointType": "GCE_VM_IP_PORT",
                "defaultPort": self._layout.block.gateway_port,
            }
            await self._compute.change("POST", f"zones/{zone}/networkEndpointGroups", group)

    async def attach(self, pod: PodPlan) -> None:
        """A pod that is ready gets calls from now on. One that is in the group already stays there. ComputeError."""
        await self._compute.change("POST", f"{path(pod.zone)}/attachNetworkEndpoints", _endpoints([pod]))

    async def detach(self, pod: PodPlan) -> None:
        """A pod that will end gets nothing new; what runs there may finish. ComputeError: it is not in the group."""
        await self._compute.change("POST", f"{path(pod.zone)}/detachNetworkEndpoints", _endpoints([pod]))


def _endpoints(pods: Iterable[PodPlan]) -> dict[str, Any]:
    return {
        "networkEndpoints": [{"instance": pod.label, "ipAddress": pod.host, "port": pod.gateway_port} for pod in pods]
    }
