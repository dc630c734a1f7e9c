"""From a health check of the API to the gateway's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.configuration.model import BackendTls, HealthCheck, HealthProtocol
from infra.twin.resources.health_check import SETTINGS

Json = Mapping[str, Any]

UNVERIFIED = BackendTls(verify=False)
"""As Google's front ends speak TLS to backends: no name is sent, no certificate verified."""

_PROTOCOLS: Mapping[str, tuple[HealthProtocol, BackendTls | None]] = {
    "HTTP": ("http", None),
    "HTTPS": ("http", UNVERIFIED),
    "HTTP2": ("http2", UNVERIFIED),
    "TCP": ("tcp", None),
    "SSL": ("tcp", UNVERIFIED),
    "GRPC": ("grpc", None),
    "GRPC_WITH_TLS": ("grpc", UNVERIFIED),
}


def health_check(resource: Json) -> HealthCheck:
    """Google's probers ask at the interval, traffic or not, and take 200 alone for an answer."""
    kind = resource["type"]
    protocol, tls = _PROTOCOLS[kind]
    settings: Json = resource.get(SETTINGS[kind]) or {}
    serving = settings.get("portSpecification") in ("USE_SERVING_PORT", "USE_NAMED_PORT")
    interval = float(resource["checkIntervalSec"])
    return HealthCheck(
        protocol=protocol,
        service=settings.get("grpcServiceName", ""),
        watch=False,
        path=settings.get("requestPath") or "/",
        host=settings.get("host"),
        expected_statuses=((200, 200),),
        interval=interval,
        no_traffic_interval=interval,
        jitter_percent=0,
        timeout=float(resource["timeoutSec"]),
        unhealthy_threshold=resource["unhealthyThreshold"],
        healthy_threshold=resource["healthyThreshold"],
        flap_damping=False,
        port=None if serving else settings.get("port"),
        tls=tls,
    )
