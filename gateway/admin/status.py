"""`/status.json`: everything that the page shows, in one document."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from gateway.admin.facts import Facts, is_ready, readiness, verdicts
from gateway.core import Core

Json = dict[str, Any]


def status(facts: Facts, core: Core, version: str) -> Json:
    """The state of the process and of its core. Ages and times are in seconds. Takes as long as `Core.status` may."""
    report: Json = json.loads(core.status())
    workers: list[Json] = report.get("workers", [])
    return {
        "product": f"tidegate {version}",
        "snapshot": facts.version,
        "ready": is_ready(facts),
        "phase": facts.phase.value,
        "uptime": time.time() - facts.started_at,
        "streams": core.active_streams(),
        "connections": core.active_connections(),
        "checks": [
            {"check": check.name, "holds": check.holds, "reason": "" if check.holds else check.reason}
            for check in readiness(facts)
        ],
        "listeners": _listeners(facts),
        "backends": _backends(facts, workers),
        "workers": [
            {"worker": index, "connections": worker.get("connections"), "streams": worker.get("streams")}
            for index, worker in enumerate(workers)
        ],
        "keys": [dataclasses.asdict(report) for report in facts.keys],
        "reloads": dataclasses.asdict(facts.reloads),
        "warnings": list(facts.warnings),
    }


def _listeners(facts: Facts) -> list[Json]:
    encrypted = {listener.name for listener in facts.config.listeners if listener.tls is not None}
    return [
        {"name": name, "address": address, "protocol": "TLS" if name in encrypted else "cleartext"}
        for name, address in facts.addresses.items()
    ]


def _backends(facts: Facts, workers: Iterable[Json]) -> list[Json]:
    """What discovery found, with what all workers together do with it."""
    pools: dict[str, list[Json]] = {}
    for worker in workers:
        for pool in worker.get("backends", []):
            if pool.get("current", True):
                pools.setdefault(pool["name"], []).append(pool)
    return [
        {
            "name": report.backend,
            "waiting": sum(pool.get("waiting", 0) for pool in pools.get(report.backend, [])),
            "endpoints": _endpoints(report.endpoints, pools.get(report.backend, [])),
            "health": verdicts(facts, report),
            "resolution_failures": report.failures,
            "errors": list(report.errors),
            "hints": list(report.hints),
        }
        for report in facts.backends
    ]


def _endpoints(found: Iterable[str], pools: Iterable[Json]) -> list[Json]:
    seen: dict[str, list[Json]] = {address: [] for address in found}
    for pool in pools:
        for endpoint in pool.get("endpoints", []):
            seen.setdefault(endpoint["address"], []).append(endpoint)
    return [
        {
            "address": address,
            "state": _state(entries),
            "connections": sum(entry.get("connections", 0) for entry in entries),
            "streams": sum(entry.get("streams", 0) for entry in entries),
        }
        for address, entries in seen.items()
    ]


def _state(entries: Iterable[Mapping[str, Any]]) -> str:
    """The worst that any worker says of an endpoint."""
    entries = list(entries)
    if any(entry.get("failing") for entry in entries):
        return "failing"
    if any(entry.get("connections") for entry in entries):
        return "connected"
    return "connecting" if any(entry.get("connecting") for entry in entries) else "idle"
