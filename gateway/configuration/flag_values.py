"""Flags that set one value of the configuration each."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import replace
from typing import Any

from .command_line import Settings
from .model import AccessLog, Admin, Authentication, GatewayConfig, Limits
from .problems import Problems

_LIMITS = {
    "max_buffer_bytes": "max_buffer_bytes",
    "stream_window": "stream_window_bytes",
    "max_concurrent_streams": "max_concurrent_streams",
    "max_connections": "max_connections",
    "max_body_bytes": "max_body_bytes",
    "max_transcoded_bytes": "max_transcoded_bytes",
    "max_header_bytes": "max_header_bytes",
    "max_headers": "max_headers",
    "max_line_bytes": "max_line_bytes",
    "header_timeout": "header_timeout",
    "body_timeout": "body_timeout",
    "idle_timeout": "idle_timeout",
    "keepalive_time": "keepalive_time",
    "keepalive_timeout": "keepalive_timeout",
    "max_connection_age": "max_connection_age",
    "max_connection_age_grace": "max_connection_age_grace",
    "transcoded_timeout": "transcoded_timeout",
}
"""Flag -> field of `Limits`."""

LEAST: dict[str, int] = {
    "max_concurrent_streams": 1,
    "stream_window_bytes": 1 << 10,
    "max_buffer_bytes": 1 << 20,
    "max_header_bytes": 1 << 10,
    "max_headers": 8,
    "max_line_bytes": 256,
    "max_transcoded_bytes": 1 << 10,
}
MOST: dict[str, int] = {
    # RFC 9113, 6.9.1: a flow-control window has at most 2^31 - 1 bytes.
    "stream_window_bytes": (1 << 31) - 1,
    "max_header_bytes": (1 << 32) - 1,
    "max_line_bytes": (1 << 32) - 1,
    "max_transcoded_bytes": (1 << 32) - 1,
}
"""Below the least nothing useful could be served; above the most the snapshot has no room."""

_AUTHENTICATION = {
    "jwks_cache_duration_in_s": "jwks_cache_duration",
    "jwks_fetch_num_retries": "jwks_fetch_retries",
    "jwks_max_stale": "jwks_max_stale",
    "jwt_cache_size": "token_cache_size",
    "userinfo_format": "userinfo_format",
}

LONGEST_ZONE = 255

_HEALTH_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,=:@/-]{1,255}", re.ASCII)


def _changes(settings: Settings, table: dict[str, str]) -> dict[str, Any]:
    return {field: settings.given[name][-1].value for name, field in table.items() if name in settings}


def limits_from_flags(base: Limits, settings: Settings, problems: Problems) -> Limits:
    changes = _changes(settings, _LIMITS)
    for name, field in _LIMITS.items():
        if field not in changes:
            continue
        if changes[field] < LEAST.get(field, 0):
            problems.error(settings.place(name), f"is less than {LEAST[field]}")
        if changes[field] > MOST.get(field, changes[field]):
            problems.error(settings.place(name), f"is more than {MOST[field]}")
    return replace(base, **changes)


def authentication_from_flags(base: Authentication, settings: Settings) -> Authentication:
    return replace(base, **_changes(settings, _AUTHENTICATION))


def access_log_from_flags(base: AccessLog, settings: Settings) -> AccessLog:
    path = settings.text("access_log")
    if path is not None:
        cleaned = {"off": "", "": "", "/dev/stdout": "-"}.get(path, path)
        base = replace(base, path=cleaned)
    rate = settings.whole("access_log_rate")
    return base if rate is None else replace(base, success_rate=rate)


def admin_from_flags(base: Admin, settings: Settings, problems: Problems) -> Admin:
    port = settings.whole("status_port")
    if port is not None:
        base = replace(base, port=port)
    address = settings.text("admin_address")
    if address is not None:
        try:
            base = replace(base, address=str(ipaddress.ip_address(address.strip("[]"))))
        except ValueError:
            problems.error(settings.place("admin_address"), f'"{address}" is not an IP address')
    return base


def process_from_flags(base: GatewayConfig, settings: Settings, problems: Problems) -> GatewayConfig:
    """What concerns the process as a whole."""
    delay, grace = settings.number("drain_delay"), settings.number("drain_grace")
    hops = settings.whole("envoy_xff_num_trusted_hops")
    return replace(
        base,
        workers=_workers(settings, problems) if "workers" in settings else base.workers,
        drain_delay=base.drain_delay if delay is None else delay,
        drain_grace=base.drain_grace if grace is None else grace,
        xff_trusted_hops=base.xff_trusted_hops if hops is None else hops,
        healthz_path=_health_path(settings, problems) if "healthz" in settings else base.healthz_path,
        zone=_zone(settings, problems) if settings.text("zone") else base.zone,
        debug=settings.switch("enable_debug") if "enable_debug" in settings else base.debug,
    )


def _workers(settings: Settings, problems: Problems) -> int | None:
    text = settings.text("workers") or ""
    if text == "auto":
        return None
    if not re.fullmatch(r"\d{1,4}", text, re.ASCII) or not 1 <= int(text) <= 1024:
        problems.error(settings.place("workers"), f'"{text}" is neither a number from 1 to 1024 nor auto')
        return None
    return int(text)


def _health_path(settings: Settings, problems: Problems) -> str | None:
    text = settings.text("healthz") or ""
    path = text if text.startswith("/") else "/" + text
    try:
        return check_health_path(path)
    except ValueError as error:
        problems.error(settings.place("healthz"), str(error))
        return None


def _zone(settings: Settings, problems: Problems) -> str:
    text = settings.text("zone") or ""
    try:
        return check_zone(text)
    except ValueError as error:
        problems.error(settings.place("zone"), str(error))
        return ""


def check_zone(text: str) -> str:
    """A zone's name without white space around it. ValueError says what is wrong."""
    name = text.strip()
    if not name.isprintable() or len(name) > LONGEST_ZONE:
        raise ValueError(f"a zone is a name of at most {LONGEST_ZONE} characters, such as europe-west1-b")
    return name


def check_health_path(path: str) -> str:
    """An exact path other than `/`. ValueError says what is wrong."""
    if not _HEALTH_PATH.fullmatch(path) or "//" in path or "/." in path:
        raise ValueError(f'"{path}" is not a plain path such as /healthz')
    return path
