"""Retry policies and circuit breakers as the snapshot has them."""

from __future__ import annotations

from gateway.configuration.model import CircuitBreakers, Retry

from .durations import milliseconds
from .tls import Json


def retry_json(retry: Retry) -> Json:
    return {
        "attempts": retry.attempts,
        "on": list(retry.on),
        "http_statuses": list(retry.http_statuses),
        "grpc_statuses": list(retry.grpc_statuses),
        "back_off_ms": milliseconds(retry.back_off),
        "max_back_off_ms": milliseconds(retry.max_back_off),
        "per_try_timeout_ms": milliseconds(retry.per_try_timeout),
        "hedge": None if retry.hedge_delay is None else {"delay_ms": milliseconds(retry.hedge_delay)},
    }


def circuit_breakers_json(breakers: CircuitBreakers) -> Json:
    return {
        "max_connections": breakers.max_connections,
        "max_pending": breakers.max_pending,
        "max_requests": breakers.max_requests,
        "max_retries": breakers.max_retries,
        "retry_budget_percent": breakers.budget_percent,
        "retry_budget_least": breakers.budget_least,
    }
