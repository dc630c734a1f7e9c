"""What is seen of a world at one moment, as rows of a table and as plain lines."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infra.world.load import ClientLoad

POD_COLUMNS = ("pod", "state", "load balancer says", "req/s", "errors/s", "fault")
CLIENT_COLUMNS = ("clients in", "calls/s", "failed/s", "p50 ms", "p99 ms", "answered by")


READY, NOT_READY, GONE = "ready", "not ready", "gone"
"""States of a pod that nobody starts or ends; GONE: one of its processes has ended."""


@dataclass(frozen=True, slots=True)
class PodRow:
    """`state` is the pod's own, `health` the load balancer's word, empty where it does not have the pod. `capacity` is
    the capacityScaler of its group, 0 for one that is drained. Rates are of the load balancer's calls to it."""

    name: str
    region: str
    state: str
    health: str
    requests: float
    failures: float
    fault: str
    capacity: float = 1.0

    @property
    def is_broken(self) -> bool:
        return self.health == "UNHEALTHY" or self.state in (NOT_READY, GONE)

    @property
    def seen(self) -> str:
        """What the load balancer says."""
        return ", ".join(filter(None, (self.health.lower() or "not attached", _capacity(self.capacity))))


@dataclass(frozen=True, slots=True)
class ClientRow:
    region: str
    load: ClientLoad


@dataclass(frozen=True, slots=True)
class Picture:
    """`clients` is empty where no load was asked for."""

    pods: tuple[PodRow, ...]
    clients: tuple[ClientRow, ...]


def pod_cells(picture: Picture) -> list[tuple[str, ...]]:
    """One row for each pod, with the columns POD_COLUMNS."""
    return [
        (
            row.name,
            row.state,
            row.seen,
            f"{row.requests:.1f}",
            f"{row.failures:.1f}",
            row.fault,
        )
        for row in picture.pods
    ]


def client_cells(picture: Picture) -> list[tuple[str, ...]]:
    """One row for each client region, with the columns CLIENT_COLUMNS."""
    return [
        (
            row.region,
            f"{row.load.sent:.1f}",
            f"{row.load.failed:.1f}",
            _milliseconds(row.load.p50),
            _milliseconds(row.load.p99),
            _shares(row.load),
        )
        for row in picture.clients
    ]


def lines(picture: Picture) -> Iterator[str]:
    """A line for each region of pods and for each of clients."""
    for region, pods in groupby(picture.pods, key=lambda row: row.region):
        yield _region_line(region, list(pods))
    for row in picture.clients:
        load = row.load
        answered = _shares(load) or "nobody"
        yield f"clients in {row.region}: {load.sent:.1f} calls/s, {load.failed:.1f} failed/s, answered by {answered}"


def _region_line(region: str, pods: Sequence[PodRow]) -> str:
    ready, gone = (sum(row.state == state for row in pods) for state in (READY, GONE))
    healthy = sum(row.health == "HEALTHY" for row in pods)
    requests, failures = sum(row.requests for row in pods), sum(row.failures for row in pods)
    faults = ", ".join(sorted({row.fault for row in pods if row.fault}))
    text = f"{region}: {ready}/{len(pods)} ready" + (f", {gone} gone" if gone else "")
    text += f", {healthy} healthy to the load balancer"
    text += "".join(f", {each}" for each in sorted({_capacity(row.capacity) for row in pods}) if each)
    return f"{text}, {requests:.1f} req/s, {failures:.1f} errors/s" + (f", fault: {faults}" if faults else "")


def _capacity(scaler: float) -> str:
    if scaler <= 0:
        return "drained"
    return "" if scaler == 1 else f"{scaler:.0%} of its capacity"


def _shares(load: ClientLoad) -> str:
    total = sum(load.regions.values())
    parts = sorted(load.regions.items(), key=lambda entry: (-entry[1], entry[0]))
    return ", ".join(f"{region} {rate / total:.0%}" for region, rate in parts if total > 0)


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
