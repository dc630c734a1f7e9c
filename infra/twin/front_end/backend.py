"""From a backend service of the API to the gateway's backend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.configuration.model import (
    Backend,
    Balance,
    BalancePolicy,
    CircuitBreakers,
    HashOn,
    OutlierDetection,
    Retry,
    SuccessRate,
)
from infra.twin.front_end.durations import seconds
from infra.twin.front_end.health_check import UNVERIFIED, health_check

Json = Mapping[str, Any]

_WITH_TLS = ("HTTPS", "HTTP2")

_POLICIES: Mapping[str, BalancePolicy] = {
    "ROUND_ROBIN": "round-robin",
    "LEAST_REQUEST": "least-request",
    "RANDOM": "random",
    "RING_HASH": "ring-hash",
    "MAGLEV": "maglev",
}

_ANY_HEALTHY = 100_000
"""Hundredths: one healthy endpoint in a thousand takes all of a priority. The waterfall decides who overflows."""

_RETRY = Retry(attempts=5, on=("connect-failure", "refused-stream"), back_off=0.01, max_back_off=0.1)
"""What a backend has certainly not begun is tried elsewhere: all endpoints of a region may be gone at once."""

_CONNECT_TIMEOUT = 1.0


def backend(name: str, service: Json, check: Json | None) -> Backend:
    """`name` is what the gateway calls it; the front end says where its endpoints are."""
    return Backend(
        name=name,
        targets=(),
        tls=UNVERIFIED if service["protocol"] in _WITH_TLS else None,
        retry=_RETRY,
        circuit_breakers=_breakers(service.get("circuitBreakers") or {}),
        connect_timeout=_CONNECT_TIMEOUT,
        drain_timeout=float((service.get("connectionDraining") or {}).get("drainingTimeoutSec", 0)),
        balance=_balance(service),
        outlier_detection=_outliers(service.get("outlierDetection")),
        health_check=health_check(check) if check else None,
    )


def _balance(service: Json) -> Balance:
    """With a session affinity the policy is MAGLEV where none is said, as Google documents it."""
    usual = "ROUND_ROBIN" if service["sessionAffinity"] == "NONE" else "MAGLEV"
    policy = _POLICIES.get(service.get("localityLbPolicy", usual), "round-robin")
    hash_on = _hash_on(service) if policy in ("ring-hash", "maglev") else None
    if policy in ("ring-hash", "maglev") and hash_on is None:
        policy = "round-robin"
    return Balance(policy=policy, hash_on=hash_on, overprovisioning_percent=_ANY_HEALTHY, panic_threshold_percent=0)


def _hash_on(service: Json) -> HashOn | None:
    consistent: Json = service.get("consistentHash") or {}
    match service["sessionAffinity"]:
        case "HEADER_FIELD" if "httpHeaderName" in consistent:
            return HashOn("header", consistent["httpHeaderName"].lower())
        case "HTTP_COOKIE" if "name" in consistent.get("httpCookie", {}):
            return HashOn("cookie", consistent["httpCookie"]["name"])
        case "CLIENT_IP":
            return HashOn("source")
    return None


def _breakers(told: Json) -> CircuitBreakers:
    return CircuitBreakers(
        max_connections=told.get("maxConnections", 0),
        max_pending=told.get("maxPendingRequests", CircuitBreakers().max_pending),
        max_requests=told.get("maxRequests", 0),
        max_retries=told.get("maxRetries", 0),
    )


def _outliers(told: Json | None) -> OutlierDetection | None:
    """Google's defaults where nothing is said: 5 errors in a row, 30 s, at most half of the endpoints.

    A kind of detection that is enforced for less than all cases counts as enforced.
    """
    if told is None:
        return None
    in_a_row = [
        told[name]
        for name, enforced in (
            ("consecutiveErrors", "enforcingConsecutiveErrors"),
            ("consecutiveGatewayFailure", "enforcingConsecutiveGatewayFailure"),
        )
        if name in told and told.get(enforced, 100)
    ]
    rate = None
    if told.get("enforcingSuccessRate", 100) and "successRateStdevFactor" in told:
        rate = SuccessRate(
            standard_deviations=told["successRateStdevFactor"] / 1000,
            minimum_hosts=told.get("successRateMinimumHosts", SuccessRate().minimum_hosts),
            request_volume=told.get("successRateRequestVolume", SuccessRate().request_volume),
        )
    return OutlierDetection(
        consecutive_errors=min(in_a_row, default=0 if rate else 5),
        base_ejection=seconds(told.get("baseEjectionTime") or {"seconds": 30}),
        max_ejected_percent=told.get("maxEjectionPercent", 50),
        interval=seconds(told.get("interval") or {"seconds": 1}),
        success_rate=rate,
    )
