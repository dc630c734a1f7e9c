"""Compiles the configuration model into the snapshot document of core/datapath/src/snapshot/document/."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence

from gateway.configuration.model import (
    Access,
    Authentication,
    Backend,
    Balance,
    GatewayConfig,
    Limits,
    Listener,
    Location,
    Method,
    Provider,
    Redirect,
    Route,
    SlowStart,
)
from gateway.configuration.problems import Place, Problems
from gateway.core import CoreEndpoint

from .admission import adaptive_concurrency, rate_limit
from .durations import milliseconds
from .files import ReadFile, read_bytes
from .retry import circuit_breakers_json, retry_json
from .tls import CheckPair, Json, TlsReader, native_check_pair

CONNECTION_WINDOW = 4 << 20
"""Bytes that a connection may have in flight; never less than one stream may."""


def compile_snapshot(
    config: GatewayConfig,
    version: str,
    endpoints: Mapping[str, Sequence[CoreEndpoint]],
    read_file: ReadFile = read_bytes,
    check_pair: CheckPair = native_check_pair,
) -> bytes:
    """The snapshot's JSON. `endpoints` are what discovery found, by the backend's name.

    Reads certificates and descriptor sets now. ConfigurationError names every file that cannot be used.
    """
    problems = Problems()
    tls = TlsReader(read_file, check_pair, problems)
    document: Json = {
        "version": version,
        "listeners": [_listener(listener, tls) for listener in config.listeners],
        "backends": [_backend(backend, endpoints.get(backend.name, ()), tls) for backend in config.backends],
        "routes": [_route(route) for route in config.routes],
        "methods": [_method(method) for method in config.methods],
        "unknown_methods": config.unknown_methods,
        "authentication": _authentication(config.authentication),
        "rate_limits": [rate_limit(limit) for limit in config.rate_limits],
        "descriptors": _descriptors(config, read_file, problems),
        "limits": _limits(config.limits),
        "access_log": {"path": config.access_log.path, "success_rate": config.access_log.success_rate},
        "xff_trusted_hops": config.xff_trusted_hops,
        "healthz_path": config.healthz_path,
    }
    problems.raise_errors()
    return json.dumps(document, separators=(",", ":")).encode()


def _listener(listener: Listener, tls: TlsReader) -> Json:
    return {
        "name": listener.name,
        "address": listener.address,
        "tls": tls.server(listener.tls) if listener.tls else None,
    }


def _backend(backend: Backend, endpoints: Sequence[CoreEndpoint], tls: TlsReader) -> Json:
    return {
        "name": backend.name,
        "endpoints": [
            {"address": address, "weight": weight, "priority": priority, "distance": distance}
            for address, weight, priority, distance in endpoints
        ],
        "balance": _balance(backend.balance),
        "outlier_errors": backend.outlier_detection.consecutive_errors if backend.outlier_detection else 0,
        "adaptive_concurrency": adaptive_concurrency(backend.adaptive_concurrency),
        "tls": tls.client(backend.tls, backend.name) if backend.tls else None,
        "authority": backend.authority,
        "retry": retry_json(backend.retry),
        "circuit_breakers": circuit_breakers_json(backend.circuit_breakers),
        "connect_timeout_ms": milliseconds(backend.connect_timeout),
        "keepalive_time_ms": milliseconds(backend.keepalive_time),
        "keepalive_timeout_ms": milliseconds(backend.keepalive_timeout),
        "drain_timeout_ms": None if backend.drain_timeout is None else milliseconds(backend.drain_timeout),
    }


def _balance(balance: Balance) -> Json:
    hashed = balance.hash_on
    return {
        "policy": balance.policy,
        "hash_on": None if hashed is None else "source" if hashed.kind == "source" else {hashed.kind: hashed.name},
        "priorities": {
            "overprovisioning_percent": balance.overprovisioning_percent,
            "panic_threshold_percent": balance.panic_threshold_percent,
        },
        "hash_balance_factor_percent": balance.hash_balance_factor_percent,
        "slow_start": _slow_start(balance.slow_start) if balance.slow_start else None,
    }


def _slow_start(slow_start: SlowStart) -> Json:
    return {
        "window_ms": milliseconds(slow_start.window),
        "aggression_percent": round(slow_start.aggression * 100),
        "min_weight_percent": slow_start.min_weight_percent,
    }


def _route(route: Route) -> Json:
    headers = [
        {"name": header.name, "exact": header.exact, "prefix": header.prefix, "invert": header.invert}
        for header in route.headers
    ]
    return {
        "name": route.name,
        "match": {
            "authorities": list(route.authorities),
            "path": route.path,
            "path_prefix": route.path_prefix,
            "service": route.service,
            "method": route.method,
            "headers": headers,
        },
        "backends": [{"name": name, "weight": weight} for name, weight in route.backends],
        "redirect": _redirect(route.redirect) if route.redirect else None,
        "timeout_ms": milliseconds(route.timeout),
        "max_timeout_ms": milliseconds(route.max_timeout),
        "idle_timeout_ms": milliseconds(route.idle_timeout),
        "access": _access(route.access),
        "retry": retry_json(route.retry) if route.retry else None,
        "rate_limits": list(route.rate_limits),
    }


def _redirect(redirect: Redirect) -> Json:
    return {
        "status": redirect.code,
        "https": redirect.https,
        "host": redirect.host,
        "path": redirect.path,
        "prefix": redirect.prefix,
        "strip_query": redirect.strip_query,
    }


def _method(method: Method) -> Json:
    bindings = [
        {
            "verb": binding.verb,
            "template": binding.template,
            "body": binding.body,
            "response_body": binding.response_body,
        }
        for binding in method.bindings
    ]
    return {
        "name": method.name,
        "backend": method.backend,
        "timeout_ms": None if method.timeout is None else milliseconds(method.timeout),
        "access": _access(method.access),
        "retry": retry_json(method.retry) if method.retry else None,
        "rate_limits": list(method.rate_limits),
        "bindings": bindings,
    }


def _access(access: Access) -> Json:
    requirements = [
        {"provider": requirement.provider, "audiences": list(requirement.audiences)}
        for requirement in access.requirements
    ]
    return {
        "requirements": requirements,
        "allow_without_credential": access.allow_without_credential,
        "deny": list(access.deny) if access.deny else None,
    }


def _authentication(authentication: Authentication) -> Json:
    return {
        "providers": [_provider(provider) for provider in authentication.providers],
        "userinfo_format": authentication.userinfo_format,
        "cache_size": authentication.token_cache_size,
    }


def _provider(provider: Provider) -> Json:
    return {
        "id": provider.id,
        "issuer": provider.issuer,
        "audiences": list(provider.audiences),
        "locations": [_location(location) for location in provider.locations],
    }


def _location(location: Location) -> Json:
    if location.kind == "header":
        return {"header": {"name": location.name, "prefix": location.prefix}}
    return {location.kind: {"name": location.name}}


def _descriptors(config: GatewayConfig, read_file: ReadFile, problems: Problems) -> list[str]:
    sets = list(config.embedded_descriptors)
    for path in config.descriptors:
        try:
            sets.append(read_file(path))
        except OSError as error:
            problems.error(Place(str(path)), f"cannot be read: {error.strerror or error}")
    return [base64.b64encode(data).decode("ascii") for data in sets]


def _limits(limits: Limits) -> Json:
    return {
        "max_concurrent_streams": limits.max_concurrent_streams,
        "stream_window_bytes": limits.stream_window_bytes,
        "connection_window_bytes": max(CONNECTION_WINDOW, limits.stream_window_bytes),
        "max_buffer_bytes": limits.max_buffer_bytes,
        "max_header_bytes": limits.max_header_bytes,
        "max_headers": limits.max_headers,
        "max_line_bytes": limits.max_line_bytes,
        "max_body_bytes": limits.max_body_bytes,
        "max_transcoded_bytes": limits.max_transcoded_bytes,
        "header_timeout_ms": milliseconds(limits.header_timeout),
        "body_timeout_ms": milliseconds(limits.body_timeout),
        "idle_timeout_ms": milliseconds(limits.idle_timeout),
        "keepalive_time_ms": milliseconds(limits.keepalive_time),
        "keepalive_timeout_ms": milliseconds(limits.keepalive_timeout),
        "max_connection_age_ms": milliseconds(limits.max_connection_age),
        "max_connection_age_grace_ms": milliseconds(limits.max_connection_age_grace),
        "max_connections": limits.max_connections,
        "transcoded_timeout_ms": milliseconds(limits.transcoded_timeout),
    }
