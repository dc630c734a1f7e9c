"""How an operator says how a backend's endpoints are checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

from .model import Backend, BackendTls, HealthCheck, HealthHeader, HealthProtocol
from .problems import Problems
from .quantities import split_host_port
from .section import Section
from .service_config.providers import check_header_name

HEALTH_PROTOCOLS: tuple[HealthProtocol, ...] = get_args(HealthProtocol)

MOST_TEXT = 8 << 10
"""Bytes of a service's name, a path, or all headers together: the core's limit (probe/plan.rs)."""

_ONLY_WITH = {
    "service": ("grpc",),
    "watch": ("grpc",),
    "path": ("http", "http2"),
    "expectedStatuses": ("http", "http2"),
}
_OURS = (
    *("host", "connection", "content-length", "content-type", "te", "transfer-encoding", "upgrade", "grpc-encoding"),
    *("grpc-timeout", "user-agent"),
)
_PATH = re.compile(r"/[!-\"$-~]*", re.ASCII)
_VALUE = re.compile(r"[ -~]*", re.ASCII)


def check_path(text: str) -> str:
    """The text itself. ValueError: it is no path of a URL."""
    if not _PATH.fullmatch(text) or len(text) > MOST_TEXT:
        raise ValueError(f'"{text}" is no path of a URL: it begins with / and has no blanks and no #')
    return text


def check_host(text: str) -> str:
    """The text itself. ValueError: it is no host with or without a port."""
    split_host_port(text, 0)
    return text


def parse_statuses(text: str) -> tuple[int, int]:
    """(first, last) of `200` or `200-399`. ValueError: it is neither."""
    found = re.fullmatch(r"([1-9]\d\d)(?:-([1-9]\d\d))?", text, re.ASCII)
    if found is None or (found[2] is not None and found[2] < found[1]):
        raise ValueError(f'"{text}" is no HTTP status such as 200, and no range such as 200-399')
    return int(found[1]), int(found[2] or found[1])


def check_statuses(text: str) -> str:
    """The text itself. ValueError as `parse_statuses`."""
    parse_statuses(text)
    return text


def health_check(
    section: Section, backend: Backend, read_tls: Callable[[Section], BackendTls], problems: Problems
) -> HealthCheck:
    """Reads a checked `healthCheck` mapping of `backend`; keys have to fit the protocol."""
    defaults = HealthCheck()
    protocol = next((p for p in HEALTH_PROTOCOLS if p == section.optional_text("protocol")), defaults.protocol)
    for key, protocols in _ONLY_WITH.items():
        if key in section and protocol not in protocols:
            problems.error(section.place(key), f"protocol {protocol} has no {key}", f"it goes with {protocols[0]}")
    tls = read_tls(section) if "tls" in section else None
    if section.flag("cleartext") is False and "cleartext" in section:
        problems.error(section.place("cleartext"), "false says nothing", "remove it, or give tls")
    if "port" in section and any(target.startswith("unix:") for target in backend.targets):
        problems.error(section.place("port"), "a Unix socket has no port")
    if len(section.text("service").encode()) > MOST_TEXT:
        problems.error(section.place("service"), f"longer than {MOST_TEXT} bytes")
    statuses = tuple(parse_statuses(text) for text, _ in section.texts("expectedStatuses"))
    return replace(
        defaults,
        protocol=protocol,
        service=section.text("service"),
        watch=section.flag("watch", defaults.watch),
        path=section.text("path", defaults.path),
        host=section.optional_text("host") or backend.authority,
        expected_statuses=statuses or defaults.expected_statuses,
        headers=_headers(section, problems),
        interval=section.number("interval", defaults.interval),
        no_traffic_interval=section.number("noTrafficInterval", defaults.no_traffic_interval),
        jitter_percent=section.integer("jitterPercent", defaults.jitter_percent),
        timeout=section.number("timeout", defaults.timeout),
        unhealthy_threshold=section.integer("unhealthyThreshold", defaults.unhealthy_threshold),
        healthy_threshold=section.integer("healthyThreshold", defaults.healthy_threshold),
        flap_damping=section.flag("flapDamping", defaults.flap_damping),
        port=section.integer("port") if "port" in section else None,
        tls=None if section.flag("cleartext") else tls or backend.tls,
    )


def _headers(section: Section, problems: Problems) -> tuple[HealthHeader, ...]:
    headers = []
    for entry in section.sections("headers"):
        name, value = entry.text("name").lower(), entry.text("value")
        check_header_name(name, entry.place("name"), problems)
        if name in _OURS:
            problems.error(entry.place("name"), f"{name} is set by the check itself")
        if not _VALUE.fullmatch(value) or value != value.strip():
            problems.error(entry.place("value"), "is no value of a header: printable ASCII without blanks around it")
        headers.append(HealthHeader(name, value))
    if sum(len(header.name) + len(header.value) for header in headers) > MOST_TEXT - 64:
        problems.error(section.place("headers"), f"longer than {MOST_TEXT - 64} bytes together")
    return tuple(headers)
