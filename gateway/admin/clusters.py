"""`/clusters`: every backend with its endpoints, and what the gateway knows of each."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.admin.facts import Facts
from gateway.admin.zones import zones
from gateway.balance.outliers import EjectionReport, Standing
from gateway.core import Core
from gateway.discover.source import Endpoint

Json = dict[str, Any]

_SUMMED = ("connections", "streams")


def clusters(facts: Facts, core: Core) -> list[Json]:
    """One member for each backend that is served; connections and streams are those of all workers."""
    pools: dict[str, list[Json]] = {}
    for worker in json.loads(core.status()).get("workers", []):
        for pool in worker.get("backends", []):
            if pool.get("current"):
                pools.setdefault(pool["name"], []).append(pool)
    reports = {report.backend: report for report in facts.backends}
    rows = {
        backend.name: _endpoints(pools.get(backend.name, []), facts, backend.name) for backend in facts.config.backends
    }
    return [
        {
            "name": backend.name,
            "policy": backend.balance.policy,
            "targets": list(backend.targets),
            "errors": list(reports[backend.name].errors) if backend.name in reports else [],
            "hints": list(reports[backend.name].hints) if backend.name in reports else [],
            **_concurrency(pools.get(backend.name, [])),
            "waiting": sum(pool.get("waiting", 0) for pool in pools.get(backend.name, [])),
            "zones": zones(rows[backend.name]),
            "endpoints": rows[backend.name],
        }
        for backend in facts.config.backends
    ]


def _concurrency(pools: list[Json]) -> Json:
    """The same for every worker: it is counted over all of them."""
    pool: Json = pools[0] if pools else {}
    return {name: pool.get(name) for name in ("concurrency_limit", "under_way", "overloaded")}


def _endpoints(pools: list[Json], facts: Facts, backend: str) -> list[Json]:
    known = {health.endpoint: health for health in facts.health.get(backend, ())}
    ejections = facts.ejections.get(backend, EjectionReport()).standing
    reports = (report.described for report in facts.backends if report.backend == backend)
    described = {endpoint.address: endpoint for endpoint in next(reports, ())}
    merged: dict[str, Json] = {}
    for endpoint in (endpoint for pool in pools for endpoint in pool["endpoints"]):
        address = endpoint["address"]
        if address not in merged:
            health = known.get(address)
            weight, said = endpoint.get("weight", 1), described.get(address, Endpoint(address))
            merged[address] = {
                "address": address,
                "zone": said.zone,
                "weight": weight,
                "effective_weight": endpoint.get("effective_weight", weight),
                "share": endpoint.get("share", 0.0),
                "priority": endpoint.get("priority", 0),
                "distance": endpoint.get("distance", 0),
                "metadata": dict(said.metadata),
                "health": endpoint.get("health", "unknown"),
                "ejected": health is not None and health.ejected_until is not None,
                "ejection": _ejection(ejections.get(address)),
                "observed": str(health.observed) if health is not None else "UNKNOWN",
                "damped": health is not None and health.damped_until is not None,
                "admin": str(health.admin) if health is not None else "ENABLED",
                "state": "draining" if endpoint.get("weight", 1) == 0 else "active",
                "failing": False,
                "answered": endpoint.get("answered", 0),
                "erred": endpoint.get("erred", 0),
                "failed": endpoint.get("failed", 0),
                **dict.fromkeys(_SUMMED, 0),
            }
        row = merged[address]
        row["failing"] |= bool(endpoint.get("failing", False))
        for name in _SUMMED:
            row[name] += endpoint.get(name, 0)
    # An endpoint that is gone is shown while something of it is left.
    return [row for row in merged.values() if row["state"] == "active" or row["connections"]]


def _ejection(standing: Standing | None) -> Json | None:
    if standing is None:
        return None
    until = datetime.now(UTC) + timedelta(seconds=standing.seconds)
    return {
        "kind": standing.kind,
        "reason": standing.reason,
        "times": standing.times,
        "until": until.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }
