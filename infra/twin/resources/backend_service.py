"""Backend services: groups of endpoints, how much each is to carry, and how it is known that they serve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from infra.twin.discovery.body import Fault
from infra.twin.resources.key import parse
from infra.twin.resources.kind import Json, Kind, Reference, Subject, invalid
from infra.twin.resources.values import between, check_values, duration, header

_DEFAULTS: Json = {
    "affinityCookieTtlSec": 0,
    "connectionDraining": {"drainingTimeoutSec": 0},
    "description": "",
    "enableCDN": False,
    "loadBalancingScheme": "EXTERNAL",
    "port": 80,
    "protocol": "HTTP",
    "sessionAffinity": "NONE",
    "timeoutSec": 30,
}
_SCHEMES = ("EXTERNAL", "EXTERNAL_MANAGED")
_PROTOCOLS = ("HTTP", "HTTPS", "HTTP2", "H2C", "GRPC")
_ONLY_MANAGED = ("outlierDetection", "serviceLbPolicy", "localityLbPolicy", "circuitBreakers", "consistentHash")
"""The classic load balancer (EXTERNAL) knows none of these."""

_MOST = 2**31 - 1
_COUNTS = (
    *(f"circuitBreakers.{name}" for name in ("maxConnections", "maxPendingRequests", "maxRequests", "maxRetries")),
    *(f"outlierDetection.consecutive{name}" for name in ("Errors", "GatewayFailure")),
    *(f"outlierDetection.successRate{name}" for name in ("MinimumHosts", "RequestVolume", "StdevFactor")),
)
_PERCENTS = (
    "maxEjectionPercent",
    "enforcingConsecutiveErrors",
    "enforcingConsecutiveGatewayFailure",
    "enforcingSuccessRate",
)
_VALUES = (
    *(between(place, 0, _MOST) for place in _COUNTS),
    *(between(f"outlierDetection.{name}", 0, 100) for name in _PERCENTS),
    *(duration(f"outlierDetection.{name}") for name in ("baseEjectionTime", "interval")),
    header("consistentHash.httpHeaderName"),
)


def _complete(subject: Subject) -> Json:
    resource = subject.resource
    for name, value in _DEFAULTS.items():
        resource.setdefault(name, value)
    resource.setdefault("portName", resource["protocol"].lower())
    resource["backends"] = [_complete_backend(backend) for backend in resource.get("backends", ())]
    return resource


def _complete_backend(backend: Mapping[str, Any]) -> Json:
    return {"balancingMode": "UTILIZATION", "capacityScaler": 1.0, "description": ""} | dict(backend)


def _check(subject: Subject) -> Iterable[Fault]:
    resource = subject.resource
    scheme = resource["loadBalancingScheme"]
    if scheme not in _SCHEMES:
        yield invalid("loadBalancingScheme", scheme, f"A global backend service is one of: {', '.join(_SCHEMES)}.")
    if resource["protocol"] not in _PROTOCOLS:
        yield invalid("protocol", resource["protocol"], f"Must be one of: {', '.join(_PROTOCOLS)}.")
    if resource["timeoutSec"] < 1:
        yield invalid("timeoutSec", resource["timeoutSec"], "Must be greater than or equal to 1.")
    draining = resource["connectionDraining"].get("drainingTimeoutSec", 0)
    if not 0 <= draining <= 3600:
        yield invalid("connectionDraining.drainingTimeoutSec", draining, "Must be between 0 and 3600.")
    if scheme == "EXTERNAL":
        for name in _ONLY_MANAGED:
            if name in resource:
                yield invalid(name, name, "It needs loadBalancingScheme EXTERNAL_MANAGED.")
    if "maxStreamDuration" in resource:
        yield invalid("maxStreamDuration", "maxStreamDuration", f"It is not supported for {scheme}.")
    yield from check_values(resource, _VALUES)
    yield from _check_health_checks(resource)
    yield from _check_backends(subject)


def _check_health_checks(resource: Mapping[str, Any]) -> Iterable[Fault]:
    checks = resource.get("healthChecks", ())
    if len(checks) > 1:
        yield invalid("healthChecks", len(checks), "At most one health check can be given.")
    if resource["backends"] and not checks:
        message = "A health check is needed: backends that are network endpoint groups are checked."
        yield Fault("resource.healthChecks", message, "required")


def _check_backends(subject: Subject) -> Iterable[Fault]:
    resource = subject.resource
    backends = resource["backends"]
    counted = Counter(backend.get("group") for backend in backends)
    for index, backend in enumerate(backends):
        place, group = f"backends[{index}]", backend.get("group")
        if group is None:
            yield Fault(f"resource.{place}.group", f"Required field 'resource.{place}.group' not specified", "required")
            continue
        if counted[group] > 1:
            yield invalid(f"{place}.group", group, "Duplicate network endpoint groups in backend service.")
        yield from _check_capacity(backend, place, alone=len(backends) == 1)
        if "preference" in backend and resource["loadBalancingScheme"] != "EXTERNAL_MANAGED":
            yield invalid(
                f"{place}.preference", backend["preference"], "It needs loadBalancingScheme EXTERNAL_MANAGED."
            )
        named = parse(group, subject.key.project)
        if named.collection == "networkEndpointGroups" and named.project != subject.key.project:
            yield invalid(f"{place}.group", group, "A backend service and its groups are of one project.")


def _check_capacity(backend: Mapping[str, Any], place: str, *, alone: bool) -> Iterable[Fault]:
    mode, scaler = backend["balancingMode"], backend["capacityScaler"]
    if mode != "RATE":
        yield invalid(f"{place}.balancingMode", mode, "Network endpoint groups need balancing mode RATE.")
    limits = [name for name in ("maxRate", "maxRatePerEndpoint") if name in backend]
    if mode == "RATE" and len(limits) != 1:
        message = "Exactly one of maxRate and maxRatePerEndpoint is needed with balancing mode RATE."
        yield invalid(f"{place}.maxRatePerEndpoint", ", ".join(limits), message)
    for name in limits:
        if backend[name] <= 0:
            yield invalid(f"{place}.{name}", backend[name], "Must be greater than 0.")
    if scaler != 0 and not 0.1 <= scaler <= 1.0:
        yield invalid(f"{place}.capacityScaler", scaler, "Must be 0, or between 0.1 and 1.0.")
    if scaler == 0 and alone:
        yield invalid(f"{place}.capacityScaler", scaler, "It cannot be 0 for the only backend.")


BACKEND_SERVICE = Kind(
    methods="backendServices",
    collection="backendServices",
    schema="BackendService",
    references=(
        Reference("healthChecks[]", ("healthChecks",)),
        Reference("backends[].group", ("networkEndpointGroups",)),
        Reference("securityPolicy", ("securityPolicies",)),
    ),
    fixed=("loadBalancingScheme",),
    secret=("iap.oauth2ClientSecret", "securitySettings.awsV4Authentication.accessKey"),
    fingerprint=True,
    complete=_complete,
    check=_check,
)
