"""Health checks of the load balancer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from infra.twin.discovery.body import Fault
from infra.twin.resources.kind import Json, Kind, Subject, invalid
from infra.twin.resources.values import check_values, host, path

SETTINGS = {
    "HTTP": "httpHealthCheck",
    "HTTPS": "httpsHealthCheck",
    "HTTP2": "http2HealthCheck",
    "TCP": "tcpHealthCheck",
    "SSL": "sslHealthCheck",
    "GRPC": "grpcHealthCheck",
    "GRPC_WITH_TLS": "grpcTlsHealthCheck",
}
"""By type, the member that holds what only this type knows."""

_DEFAULT_PORT = {"HTTP": 80, "TCP": 80, "HTTPS": 443, "HTTP2": 443, "SSL": 443}
_WITH_PATH = ("HTTP", "HTTPS", "HTTP2")
_WITHOUT_PROXY_HEADER = ("GRPC", "GRPC_WITH_TLS")
_VALUES = tuple(
    rule for kind in _WITH_PATH for rule in (host(f"{SETTINGS[kind]}.host"), path(f"{SETTINGS[kind]}.requestPath"))
)


def _complete(subject: Subject) -> Json:
    resource = subject.resource
    for name, value in (
        ("checkIntervalSec", 5),
        ("timeoutSec", 5),
        ("healthyThreshold", 2),
        ("unhealthyThreshold", 2),
        ("description", ""),
    ):
        resource.setdefault(name, value)
    kind = resource.get("type")
    if kind not in SETTINGS:
        return resource
    settings = dict(resource.get(SETTINGS[kind]) or {})
    if kind in _WITH_PATH:
        settings.setdefault("requestPath", "/")
    if kind not in _WITHOUT_PROXY_HEADER:
        settings.setdefault("proxyHeader", "NONE")
    if kind in _DEFAULT_PORT and settings.get("portSpecification", "USE_FIXED_PORT") == "USE_FIXED_PORT":
        settings.setdefault("port", _DEFAULT_PORT[kind])
    resource[SETTINGS[kind]] = settings
    return resource


def _check(subject: Subject) -> Iterable[Fault]:
    resource = subject.resource
    kind = resource.get("type")
    if kind not in SETTINGS:
        yield invalid("type", kind or "", f"Must be one of: {', '.join(SETTINGS)}.")
        return
    for name, low, high in (
        ("checkIntervalSec", 1, 300),
        ("timeoutSec", 1, 300),
        ("healthyThreshold", 1, 10),
        ("unhealthyThreshold", 1, 10),
    ):
        if not low <= resource[name] <= high:
            yield invalid(name, resource[name], f"Must be greater than or equal to {low} and at most {high}.")
    if resource["timeoutSec"] > resource["checkIntervalSec"]:
        yield invalid("timeoutSec", resource["timeoutSec"], "The timeout cannot be longer than the check interval.")
    for other, member in SETTINGS.items():
        if other != kind and member in resource:
            yield invalid(member, member, f"A health check of type {kind} has {SETTINGS[kind]} only.")
    yield from check_values(resource, _VALUES)
    yield from _check_port(resource[SETTINGS[kind]], SETTINGS[kind])


def _check_port(settings: Mapping[str, Any], member: str) -> Iterable[Fault]:
    specification = settings.get("portSpecification", "USE_FIXED_PORT")
    if "port" in settings and not 1 <= settings["port"] <= 65535:
        yield invalid(f"{member}.port", settings["port"], "Must be between 1 and 65535.")
    if specification == "USE_SERVING_PORT" and ("port" in settings or "portName" in settings):
        yield invalid(f"{member}.portSpecification", specification, "No port can be given with it.")
    if specification == "USE_FIXED_PORT" and "port" not in settings:
        yield invalid(f"{member}.port", "", "A port is needed, or portSpecification USE_SERVING_PORT.")
    if specification == "USE_NAMED_PORT" and "portName" not in settings:
        yield invalid(f"{member}.portName", "", "USE_NAMED_PORT needs a name.")


HEALTH_CHECK = Kind(
    methods="healthChecks",
    collection="healthChecks",
    schema="HealthCheck",
    required=("type",),
    complete=_complete,
    check=_check,
)
