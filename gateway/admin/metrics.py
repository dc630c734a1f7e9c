"""Prometheus metrics: what the core counted, and what this process knows.

The core's report is generic, so that a new counter there needs no change here:

    {"counters":   [{"name": "requests_total", "labels": {...}, "value": 1}],
     "gauges":     [{"name": "connections", "labels": {...}, "value": 1}],
     "histograms": [{"name": "request_duration_seconds", "labels": {...},
                     "buckets": [[0.001, 4], [0.002, 9], [null, 9]], "sum": 0.5, "count": 9}],
     "help":       {"requests_total": "..."}}

`buckets` are [upper bound, cumulative count]; the bound that nothing exceeds is null, and may be left out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, get_args

from prometheus_client import ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from gateway.admin.facts import Facts, is_ready, verdicts
from gateway.balance.ejection import EjectionKind
from gateway.core import Core

PREFIX = "tidegate_"


def exposition(core: Core, facts: Facts, accept: str, version: str) -> tuple[bytes, str]:
    """The metrics in the format that an Accept header asks for, with their content type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Reports(core, facts, version))
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class _Reports(Collector):
    def __init__(self, core: Core, facts: Facts, version: str) -> None:
        self._core = core
        self._facts = facts
        self._version = version

    def collect(self) -> Iterable[Metric]:
        yield from of_core(json.loads(self._core.stats()))
        yield from of_process(self._facts, self._version, time.time())

    def describe(self) -> Iterable[Metric]:
        return ()


def of_core(report: Mapping[str, Any]) -> Iterator[Metric]:
    """The metric families of the core's report."""
    helps: Mapping[str, str] = report.get("help", {})
    for kind, key in (("counter", "counters"), ("gauge", "gauges"), ("histogram", "histograms")):
        families: dict[str, Metric] = {}
        for entry in report.get(key, []):
            name = str(entry["name"])
            family = families.setdefault(name, _family(name, helps.get(name, name), kind))
            labels = {str(label): str(value) for label, value in entry.get("labels", {}).items()}
            if kind == "histogram":
                _add_histogram(family, labels, entry)
            else:
                family.add_sample(PREFIX + name, labels, float(entry["value"]))
        yield from families.values()


def of_process(facts: Facts, version: str, now: float) -> Iterator[Metric]:
    """The metric families of the process around the core; none has the name of one of the core's."""
    build = _family("build_info", "The version that runs.", "gauge")
    build.add_sample(PREFIX + "build_info", {"version": version}, 1)
    yield build
    yield _single("ready", "Whether every condition of readiness holds.", "gauge", float(is_ready(facts)))
    yield _single("uptime_seconds", "Time since the start.", "gauge", now - facts.started_at)
    yield _single("workers", "Threads that move requests.", "gauge", facts.workers)
    yield from _of_reloads(facts)
    yield from _of_keys(facts)
    yield from _of_backends(facts)
    yield from _of_ejections(facts)


def _of_reloads(facts: Facts) -> Iterator[Metric]:
    reloads = _family("configuration_reloads_total", "New configurations, applied and refused.", "counter")
    for result, value in (("applied", facts.reloads.applied), ("refused", facts.reloads.refused)):
        reloads.add_sample(PREFIX + "configuration_reloads_total", {"result": result}, value)
    yield reloads
    current = facts.reloads.refused_at is None
    yield _single("configuration_current", "0 when the last new configuration was refused.", "gauge", float(current))
    info = _family("configuration_info", "The version of the snapshot that serves.", "gauge")
    info.add_sample(PREFIX + "configuration_info", {"version": facts.version}, 1)
    yield info


def _of_keys(facts: Facts) -> Iterator[Metric]:
    keys = _family("provider_keys", "Keys at hand that can verify a token.", "gauge")
    age = _family("provider_keys_age_seconds", "Time since the keys were last known to be the issuer's.", "gauge")
    fetches = _family("provider_key_fetches_total", "Fetches of a provider's keys.", "counter")
    failures = _family("provider_key_fetch_failures_total", "Fetches of a provider's keys that failed.", "counter")
    for report in facts.keys:
        labels = {"provider": report.provider}
        keys.add_sample(PREFIX + "provider_keys", labels, report.keys)
        if report.age is not None:
            age.add_sample(PREFIX + "provider_keys_age_seconds", labels, report.age)
        fetches.add_sample(PREFIX + "provider_key_fetches_total", labels, report.fetches)
        failures.add_sample(PREFIX + "provider_key_fetch_failures_total", labels, report.failures)
    yield from (keys, age, fetches, failures)


def _of_backends(facts: Facts) -> Iterator[Metric]:
    endpoints = _family("backend_endpoints", "Addresses that a backend's targets stand for.", "gauge")
    failures = _family("backend_resolve_failures_total", "Names of backends that could not be resolved.", "counter")
    for report in facts.backends:
        labels = {"backend": report.backend}
        endpoints.add_sample(PREFIX + "backend_endpoints", labels, len(report.endpoints))
        failures.add_sample(PREFIX + "backend_resolve_failures_total", labels, report.failures)
    yield from (endpoints, failures)
    yield from _of_health(facts)


def _of_health(facts: Facts) -> Iterator[Metric]:
    endpoints = _family("backend_endpoint_health", "Endpoints by what follows from their health for calls.", "gauge")
    checks = _family("health_checks_total", "Health checks by how they ended.", "counter")
    changes = _family(
        "health_changes_total", "Changes of endpoints' health, ejections among them, by reason.", "counter"
    )
    for report in facts.backends:
        for verdict, value in verdicts(facts, report).items():
            labels = {"backend": report.backend, "verdict": verdict}
            endpoints.add_sample(PREFIX + "backend_endpoint_health", labels, value)
    for backend, outcomes in facts.probes.items():
        for outcome, value in sorted(outcomes.items()):
            checks.add_sample(PREFIX + "health_checks_total", {"backend": backend, "outcome": outcome}, value)
    for backend, counts in facts.health_changes.items():
        for (change, reason), value in sorted(counts.items()):
            labels = {"backend": backend, "change": change, "reason": reason}
            changes.add_sample(PREFIX + "health_changes_total", labels, value)
    yield from (endpoints, checks, changes)


def _of_ejections(facts: Facts) -> Iterator[Metric]:
    total = _family("outlier_ejections_total", "Endpoints that outlier detection left out, by its rule.", "counter")
    now = _family("outlier_ejected_endpoints", "Endpoints that outlier detection leaves out.", "gauge")
    for backend, report in facts.ejections.items():
        for kind in get_args(EjectionKind):
            labels = {"backend": backend, "kind": kind}
            total.add_sample(PREFIX + "outlier_ejections_total", labels, report.counts.get(kind, 0))
        now.add_sample(PREFIX + "outlier_ejected_endpoints", {"backend": backend}, len(report.standing))
    yield from (total, now)


def _single(name: str, text: str, kind: str, value: float) -> Metric:
    family = _family(name, text, kind)
    family.add_sample(PREFIX + name, {}, value)
    return family


def _family(name: str, text: str, kind: str) -> Metric:
    return Metric(PREFIX + (name.removesuffix("_total") if kind == "counter" else name), text, kind)


def _add_histogram(family: Metric, labels: dict[str, str], entry: Mapping[str, Any]) -> None:
    buckets, count, total = entry["buckets"], entry["count"], entry["sum"]
    for bound, cumulative in buckets:
        if bound is None:
            continue
        family.add_sample(family.name + "_bucket", {**labels, "le": str(float(bound))}, cumulative)
    family.add_sample(family.name + "_bucket", {**labels, "le": "+Inf"}, count)
    family.add_sample(family.name + "_sum", labels, total)
    family.add_sample(family.name + "_count", labels, count)
