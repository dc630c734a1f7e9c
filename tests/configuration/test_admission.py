"""Rate limits and adaptive concurrency as an operator writes them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.configuration import ConfigurationError, load
from gateway.configuration.admission import parse_rate, parse_rate_key
from gateway.configuration.model import AdaptiveConcurrency, RateKey, RateLimit
from gateway.snapshot import compile_snapshot
from tests.configuration.helpers import ECHO_AND_REVERSE, describe, descriptors

HEAD = "apiVersion: tidegate.dev/v1\nkind: Gateway\nspec:\n  backends: [{name: app, targets: ['127.0.0.1:1']%s}]\n"
LIMITS = """\
  rateLimits:
  - {name: per-caller, rate: 100/s, key: claim:sub}
  - {name: per-key, rate: 5 / m, burst: 20, key: "header:X-Api-Key", maxKeys: 500}
  - {name: all, rate: 3000000/h}
  - {name: per-address, rate: 1/d, key: source}
"""
ROUTE = "  routes: [{name: all, backends: [{name: app}], rateLimits: %s}]\n"


def read(directory: Path, text: str) -> tuple[dict[str, object], list[str]]:
    path = directory / "gateway.yaml"
    path.write_text(text)
    (directory / "api.pb").write_bytes(descriptors(ECHO_AND_REVERSE))
    try:
        loaded = load([f"--config={path}"], {}, describe=describe)
    except ConfigurationError as error:
        return {}, [str(problem).removeprefix(f"{directory}/") for problem in error.problems]
    return json.loads(compile_snapshot(loaded.config, "1", {})), []


def test_limits_are_defined_once_and_named_where_they_hold(tmp_path: Path) -> None:
    api = "  api: {descriptors: [api.pb], methods: [{selector: api.Echo.*, rateLimits: [per-key]}]}\n"
    path = tmp_path / "gateway.yaml"
    path.write_text(HEAD % "" + LIMITS + ROUTE % "[per-caller, all]" + api)
    (tmp_path / "api.pb").write_bytes(descriptors(ECHO_AND_REVERSE))
    loaded = load([f"--config={path}"], {}, describe=describe)
    config = loaded.config
    assert config.rate_limits == (
        RateLimit("per-caller", 100, 1.0, 100, RateKey("claim", "sub")),
        RateLimit("per-key", 5, 60.0, 20, RateKey("header", "x-api-key"), 500),
        RateLimit("all", 3_000_000, 3600.0, 833),
        RateLimit("per-address", 1, 86400.0, 1, RateKey("source")),
    )
    assert config.routes[0].rate_limits == ("per-caller", "all")
    unused = [str(problem) for problem in loaded.warnings if "limits nothing" in str(problem)]
    assert len(unused) == 1
    assert 'no route or method names "per-address"' in unused[0]
    limited = {method.name for method in config.methods if method.rate_limits == ("per-key",)}
    assert limited
    assert all(name.startswith("api.Echo.") for name in limited)
    document = json.loads(compile_snapshot(config, "1", {}))
    assert [limit["key"] for limit in document["rate_limits"]] == [
        {"claim": "sub"},
        {"header": "x-api-key"},
        None,
        "source",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  rateLimits: [{name: a, rate: 5}]\n", 'rateLimits[0].rate: "5" is not a rate such as'),
        ("  rateLimits: [{name: a, rate: 0/s}]\n", 'rateLimits[0].rate: "0/s": a rate is at least 1'),
        ("  rateLimits: [{name: a, rate: 1/s, burst: 0}]\n", "rateLimits[0].burst: 0 is not between 1"),
        ("  rateLimits: [{name: a, rate: 1/d, burst: 99999}]\n", "rateLimits[0].burst: 99999 at 1/d take more than"),
        ("  rateLimits: [{name: a, rate: 1/s, key: sub}]\n", 'rateLimits[0].key: "sub" is none of claim:NAME'),
        ("  rateLimits: [{name: a, rate: 1/s, key: 'header:a b'}]\n", 'rateLimits[0].key: "header:a b" is none of'),
        ("  rateLimits: [{name: a, rate: 1/s, maxKeys: 5}]\n", "rateLimits[0].maxKeys: there is one bucket"),
        ("  rateLimits: [{name: a, rate: 1/s}, {name: a, rate: 2/s}]\n", 'rateLimits[1].name: rate limit "a" is given'),
        (LIMITS + ROUTE % "[per-calller]", 'rateLimits[0]: there is no rate limit "per-calller"'),
        (LIMITS + ROUTE % "[all, all]", 'rateLimits[1]: "all" is given a second time'),
    ],
)
def test_faults(tmp_path: Path, text: str, expected: str) -> None:
    _, problems = read(tmp_path, HEAD % "" + text)
    assert any(expected in problem for problem in problems), problems
    assert all(problem.startswith("gateway.yaml:") for problem in problems)


def test_adaptive_concurrency_is_off_until_asked_for(tmp_path: Path) -> None:
    for written, expected in (
        ("", None),
        (", adaptiveConcurrency: {}", AdaptiveConcurrency()),
        (", adaptiveConcurrency: {minimum: 50}", AdaptiveConcurrency(50, 1000, 50)),
        (", adaptiveConcurrency: {maximum: 10, tolerancePercent: 200}", AdaptiveConcurrency(3, 10, 10, 200)),
    ):
        path = tmp_path / "gateway.yaml"
        path.write_text(HEAD % written)
        (backend,) = load([f"--config={path}"], {}, describe=describe).config.backends
        assert backend.adaptive_concurrency == expected
    for written, said in (
        ("minimum: 5, maximum: 4", "maximum: 4 is less than the minimum, 5"),
        ("initial: 2", "initial: 2 is not between 3 and 1000"),
        ("tolerancePercent: 100", "tolerancePercent: 100 is not between 105 and 1000"),
    ):
        _, problems = read(tmp_path, HEAD % f", adaptiveConcurrency: {{{written}}}")
        assert [said in problem for problem in problems] == [True], problems


@given(st.integers(1, 10**9), st.sampled_from("smhd"))
def test_rates_read_back(requests: int, unit: str) -> None:
    assert parse_rate(f"{requests}/{unit}") == (requests, {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit])


@given(st.text(max_size=20))
def test_no_text_breaks_the_readers(text: str) -> None:
    for reader in (parse_rate, parse_rate_key):
        with contextlib.suppress(ValueError):
            reader(text)
