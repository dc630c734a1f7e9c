"""How far endpoints are from this gateway, as the core takes it: 0 is near, and preferred within a priority.

An endpoint is near in the gateway's own zone. Where a Kubernetes Service's topology hints say which zones each endpoint
is for, they decide instead, under the condition that kube-proxy makes too: every endpoint has them, and some are for
this zone (Kubernetes documentation, "Topology Aware Routing", safeguards).
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.discover.source import Endpoint

NEAR, FAR = 0, 1


def distances(endpoints: Sequence[Endpoint], zone: str) -> tuple[int, ...]:
    """One for each endpoint of one target. `zone` is the gateway's own; "": distances do not count."""
    if not zone:
        return (NEAR,) * len(endpoints)
    hinted = all(endpoint.for_zones for endpoint in endpoints)
    if hinted and any(zone in endpoint.for_zones for endpoint in endpoints):
        near = [zone in endpoint.for_zones for endpoint in endpoints]
    else:
        near = [endpoint.zone == zone for endpoint in endpoints]
    return tuple(NEAR if one else FAR for one in near)
