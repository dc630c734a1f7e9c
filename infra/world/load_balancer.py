"""The load balancer of a world as a script: the calls of Google's Compute API that make it, in their order.

Each resource refers to ones before it: nothing refers to what is not there yet. Paths are below the project. The
groups of endpoints are not made here: in a cluster, Google's controller makes and fills them (`endpoint_groups`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.world.layout import HEALTH_PATH

if TYPE_CHECKING:
    from infra.certificates import KeyPair

NAME = "api"
"""Of all its resources: they are of different collections."""
SERVICE_PATH = f"global/backendServices/{NAME}"
REQUESTS_PER_POD = 100.0
"""A second. Two regions of two pods can carry what three were sent 300 by."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request; `does` says what it is for."""

    does: str
    verb: str
    path: str
    body: Mapping[str, Any]


def calls(groups: Sequence[str], certificate: KeyPair) -> list[Call]:
    """`groups` are the paths of the network endpoint groups, `zones/ZONE/networkEndpointGroups/NAME`."""
    return [
        Call(
            "Reserve the address that clients will know.",
            "POST",
            "global/addresses",
            {"name": NAME, "ipVersion": "IPV4"},
        ),
        Call(
            "A pod serves when its gateway and its app do: a second apart, two answers decide.",
            "POST",
            "global/healthChecks",
            {
                "name": NAME,
                "type": "HTTP2",
                "http2HealthCheck": {"portSpecification": "USE_SERVING_PORT", "requestPath": HEALTH_PATH},
                "checkIntervalSec": 1,
                "timeoutSec": 1,
                "healthyThreshold": 2,
                "unhealthyThreshold": 2,
            },
        ),
        Call(
            "Calls go to the pods of all zones over HTTP/2, the nearest region first.",
            "POST",
            "global/backendServices",
            {
                "name": NAME,
                "loadBalancingScheme": "EXTERNAL_MANAGED",
                "protocol": "HTTP2",
                "timeoutSec": 30,
                "connectionDraining": {"drainingTimeoutSec": 10},
                "healthChecks": [f"global/healthChecks/{NAME}"],
                "backends": [
                    {
                        "group": group,
                        "balancingMode": "RATE",
                        "maxRatePerEndpoint": REQUESTS_PER_POD,
                        "capacityScaler": 1.0,
                    }
                    for group in groups
                ],
            },
        ),
        Call(
            "Every host and path is that service's.",
            "POST",
            "global/urlMaps",
            {"name": NAME, "defaultService": SERVICE_PATH},
        ),
        Call(
            "The certificate that clients are shown.",
            "POST",
            "global/sslCertificates",
            {
                "name": NAME,
                "type": "SELF_MANAGED",
                "selfManaged": {"certificate": certificate.chain, "privateKey": certificate.key},
            },
        ),
        Call(
            "End TLS and HTTP/2 of clients.",
            "POST",
            "global/targetHttpsProxies",
            {
                "name": NAME,
                "urlMap": f"global/urlMaps/{NAME}",
                "sslCertificates": [f"global/sslCertificates/{NAME}"],
            },
        ),
        Call(
            "From now on port 443 of the address is served.",
            "POST",
            "global/forwardingRules",
            {
                "name": NAME,
                "loadBalancingScheme": "EXTERNAL_MANAGED",
                "IPAddress": f"global/addresses/{NAME}",
                "portRange": "443",
                "target": f"global/targetHttpsProxies/{NAME}",
            },
        ),
    ]


def scaled(backends: Sequence[Mapping[str, Any]], zones: Sequence[str], capacity: float) -> list[dict[str, Any]]:
    """The backends of a service with `capacityScaler` set for the groups of some zones; Google takes 0 and 0.1 to 1."""
    return [
        {**backend, "capacityScaler": capacity} if _zone_of(backend["group"]) in zones else dict(backend)
        for backend in backends
    ]


def capacities(backends: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """`capacityScaler` by zone: 0 drains it."""
    return {_zone_of(backend["group"]): backend.get("capacityScaler", 1.0) for backend in backends}


def _zone_of(group: str) -> str:
    return group.rpartition("/zones/")[2].partition("/")[0]
