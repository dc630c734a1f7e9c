"""Rate limits and adaptive concurrency as the snapshot has them."""

from __future__ import annotations

from dataclasses import asdict

from gateway.configuration.model import AdaptiveConcurrency, RateLimit

from .tls import Json


def rate_limit(limit: RateLimit) -> Json:
    key = limit.key
    return {
        "name": limit.name,
        "key": None if key is None else "source" if key.kind == "source" else {key.kind: key.name},
        "requests": limit.requests,
        "period_ms": round(limit.period * 1000),
        "burst": limit.burst,
        "max_keys": limit.max_keys,
    }


def adaptive_concurrency(settings: AdaptiveConcurrency | None) -> Json | None:
    return None if settings is None else asdict(settings)
