"""What the process itself knows at one moment, apart from what the core says. Pages and metrics are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from gateway.balance.outliers import EjectionReport
from gateway.configuration.model import GatewayConfig
from gateway.core import Core
from gateway.discover.directory import BackendReport
from gateway.keys.refresh import KeyReport
from gateway.lifecycle.drain import Phase
from gateway.lifecycle.reload import ReloadReport
from healthcheck.state import Health, Verdict


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of readiness; `reason` says why it does not hold."""

    name: str
    holds: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """`version` is that of the snapshot that serves, "" before the first; `started_at` is in Unix seconds."""

    config: GatewayConfig
    version: str
    snapshot: bytes
    started_at: float
    workers: int
    addresses: Mapping[str, str]
    phase: Phase
    keys: tuple[KeyReport, ...]
    backends: tuple[BackendReport, ...]
    reloads: ReloadReport
    warnings: tuple[str, ...]
    health: Mapping[str, tuple[Health, ...]] = field(default_factory=dict)
    """By backend, of the endpoints of which anything is known."""
    ejections: Mapping[str, EjectionReport] = field(default_factory=dict)
    """By backend, of those with outlier detection."""
    probes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """By backend that has a health check, how many checks ended how."""
    health_changes: Mapping[str, Mapping[tuple[str, str], int]] = field(default_factory=dict)
    """By backend, how often (what, for which reason) changed."""


def verdicts(facts: Facts, report: BackendReport) -> dict[str, int]:
    """How many of a backend's endpoints there are of each verdict; what nobody asked is unknown."""
    known = {health.endpoint: health.verdict for health in facts.health.get(report.backend, ())}
    counts = dict.fromkeys(map(str, Verdict), 0)
    for address in report.endpoints:
        counts[str(known.get(address, Verdict.UNKNOWN))] += 1
    return counts


class Subject(Protocol):
    """The gateway that the admin server shows."""

    @property
    def core(self) -> Core: ...
    def facts(self) -> Facts: ...


def readiness(facts: Facts) -> tuple[Check, ...]:
    """The conditions under which this process should be sent requests."""
    absent = [listener.name for listener in facts.config.listeners if listener.name not in facts.addresses]
    waiting = [report.provider for report in facts.keys if not report.attempted]
    empty = [report.backend for report in facts.backends if not report.endpoints]
    usable = not facts.backends or len(empty) < len(facts.backends)
    return (
        Check("snapshot-applied", facts.version != "", "no configuration is served yet"),
        Check("listeners-bound", facts.version != "" and not absent, f"not bound: {', '.join(absent) or 'any'}"),
        Check("keys-attempted", not waiting, f"the first fetch is under way: {', '.join(waiting)}"),
        Check("backends-have-endpoints", usable, f"no endpoint is known: {', '.join(empty)}"),
        Check("not-draining", facts.phase is Phase.SERVING, f"the process is {facts.phase.value}"),
    )


def is_ready(facts: Facts) -> bool:
    """Whether every check holds."""
    return all(check.holds for check in readiness(facts))
