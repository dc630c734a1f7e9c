"""`retry` and `circuitBreakers` in a `gateway.yaml`, down to the snapshot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.configuration import ConfigurationError, load
from gateway.configuration.gateway_yaml.retry import GRPC_STATUSES
from gateway.snapshot import compile_snapshot
from tests.configuration.helpers import ECHO_AND_REVERSE, describe, descriptors

SPEC = """\
apiVersion: tidegate.dev/v1
kind: Gateway
spec:
  backends:
  - name: app
    targets: ['127.0.0.1:1']
    {backend}
  routes:
  - name: all
    backends: [{{name: app}}]
    {route}
  api:
    descriptors: [api.pb]
    methods:
    - selector: api.Echo.*
      {method}
"""
DEFAULTS = {
    "attempts": 1,
    "on": ["connect-failure", "refused-stream"],
    "http_statuses": [],
    "grpc_statuses": [],
    "back_off_ms": 25,
    "max_back_off_ms": 250,
    "per_try_timeout_ms": 0,
    "hedge": None,
}


def snapshot(directory: Path, backend: str = "", route: str = "", method: str = "") -> dict[str, Any]:
    path = directory / "gateway.yaml"
    path.write_text(SPEC.format(backend=backend, route=route, method=method))
    (directory / "api.pb").write_bytes(descriptors(ECHO_AND_REVERSE))
    document = json.loads(compile_snapshot(load([f"--config={path}"], {}, describe=describe).config, "1", {}))
    assert isinstance(document, dict)
    return document


def test_nothing_said(tmp_path: Path) -> None:
    document = snapshot(tmp_path)
    (backend,), (route,) = document["backends"], document["routes"]
    assert backend["retry"] == DEFAULTS
    assert backend["circuit_breakers"] == {
        "max_connections": 0,
        "max_pending": 10_000,
        "max_requests": 0,
        "max_retries": 0,
        "retry_budget_percent": 20,
        "retry_budget_least": 3,
    }
    assert route["retry"] is None
    assert {method["retry"] for method in document["methods"]} == {None}


def test_everything_said(tmp_path: Path) -> None:
    document = snapshot(
        tmp_path,
        backend="circuitBreakers: {maxConnections: 9, maxPending: 0, maxRequests: 8, maxRetries: 7,"
        " retryBudget: {percent: 50, least: 1}}",
        route="retry: {attempts: 4, on: [reset, unavailable, gateway-error, cancelled, reset],"
        " httpStatuses: [429, 503], backOff: 10ms, perTryTimeout: 2s, hedge: {delay: 50ms}}",
        method="retry: {attempts: 0, on: []}",
    )
    assert list(document["backends"][0]["circuit_breakers"].values()) == [9, 0, 8, 7, 50, 1]
    assert document["routes"][0]["retry"] == {
        "attempts": 4,
        "on": ["reset", "gateway-error"],
        "http_statuses": [429, 503],
        "grpc_statuses": [14, 1],
        "back_off_ms": 10,
        "max_back_off_ms": 100,
        "per_try_timeout_ms": 2_000,
        "hedge": {"delay_ms": 50},
    }
    own = {method["name"]: method["retry"] for method in document["methods"]}
    assert own["api.Echo.Echo"] == {**DEFAULTS, "attempts": 0, "on": []}
    assert own["api.Reverse.Reverse"] is None


def test_flags_for_attempts_and_conditions_leave_the_rest(tmp_path: Path) -> None:
    flags = ["--backend=grpc://127.0.0.1:1", "--backend_retry_num=2", "--backend_retry_ons=reset"]
    document = json.loads(compile_snapshot(load(flags, {}).config, "1", {}))
    assert document["backends"][0]["retry"] == {**DEFAULTS, "attempts": 2, "on": ["reset"]}


def test_statuses_have_grpcs_numbers() -> None:
    import grpc

    numbers = {code.name.lower().replace("_", "-"): code.value[0] for code in grpc.StatusCode if code.value[0]}
    assert {name: number for number, name in enumerate(GRPC_STATUSES, 1)} == numbers


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        ("retry: {on: [unavailible]}", 'did you mean "unavailable"?'),
        ("retry: {attempts: 101}", "is not between 0 and 100"),
        ("retry: {httpStatuses: [200]}", "is not between 300 and 599"),
        ("retry: {backOff: 1s, maxBackOff: 10ms}", "retry.maxBackOff: is less than backOff (give at least 1s)"),
        ("retry: {attempts: 0, hedge: {delay: 1s}}", "retry.hedge: is an attempt of its own, and attempts says 0"),
        ("retry: {hedge: {}}", 'retry.hedge: "delay" is missing'),
        ("circuitBreakers: {maxRequest: 1}", 'did you mean "maxRequests"?'),
        ("circuitBreakers: {retryBudget: {percent: 101}}", "is not between 0 and 100"),
    ],
)
def test_faults(tmp_path: Path, backend: str, expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        snapshot(tmp_path, backend)
    (problem,) = caught.value.problems
    assert expected in str(problem)
