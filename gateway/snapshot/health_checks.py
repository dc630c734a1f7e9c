"""Compiles backends' health checks into requests for the core's prober (core/datapath/src/probe/document.rs)."""

from __future__ import annotations

import json
from collections.abc import Mapping

from gateway.configuration.model import GatewayConfig, HealthCheck
from gateway.configuration.problems import Problems

from .durations import milliseconds
from .files import ReadFile, read_bytes
from .tls import CheckPair, Json, TlsReader, native_check_pair

USER_AGENT = "tidegate"
ANY_ADDRESS = "127.0.0.1:1"
"""Stands where each endpoint's own address will."""


def compile_checks(
    config: GatewayConfig, read_file: ReadFile = read_bytes, check_pair: CheckPair = native_check_pair
) -> Mapping[str, bytes]:
    """A request for each backend that has a health check, by the backend's name.

    Reads certificates now. ConfigurationError names every file that cannot be used.
    """
    problems = Problems()
    tls = TlsReader(read_file, check_pair, problems)
    requests = {
        backend.name: _request(backend.health_check, tls, backend.name)
        for backend in config.backends
        if backend.health_check is not None
    }
    problems.raise_errors()
    return requests


def _request(check: HealthCheck, tls: TlsReader, backend: str) -> bytes:
    target: Json = {
        "name": "",
        "kind": check.protocol,
        "address": ANY_ADDRESS,
        "tls": tls.client(check.tls, backend) if check.tls else None,
        "authority": check.host or (check.tls.server_name if check.tls else None) or "",
        "service": check.service,
        "path": check.path,
        "headers": [[header.name, header.value] for header in check.headers],
        "user_agent": USER_AGENT,
        "expected_statuses": [list(span) for span in check.expected_statuses],
        "connect_timeout_ms": milliseconds(check.timeout),
        "answer_timeout_ms": milliseconds(check.timeout),
        "watch": check.watch and check.protocol == "grpc",
        "interval_ms": milliseconds(check.interval),
        "quiet_interval_ms": milliseconds(check.no_traffic_interval),
        "jitter_percent": check.jitter_percent,
    }
    return json.dumps({"targets": [target]}, separators=(",", ":")).encode()
