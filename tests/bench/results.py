"""What a run has found, as it goes into the JSON file."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(slots=True)
class Figures:
    """One peer in one row, a value per round.

    `cpu` is in the row's unit, latencies are microseconds, `disturbance` is the share of the machine's CPU time that
    processes outside the benchmark used. `confirmed` is the median's counterpart under h2load.
    """

    cpu: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    disturbance: list[float] = field(default_factory=list)
    resident_bytes: int = 0
    confirmed: float | None = None
    failed: str | None = None

    @property
    def median(self) -> float | None:
        return self.middle("cpu")

    def middle(self, name: Literal["cpu", "per_second", "p50", "p99"]) -> float | None:
        """Median over the rounds; None if the peer failed in any of them."""
        values: list[float] = getattr(self, name)
        return statistics.median(values) if values and self.failed is None else None


@dataclass(slots=True)
class RowResult:
    name: str
    title: str
    unit: str
    goals: dict[str, float]
    notes: dict[str, str]
    peers: dict[str, Figures] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def ratio(self, peer: str) -> float | None:
        """Tidegate's median over `peer`'s, where both have one."""
        ours, theirs = self.peers.get("tidegate"), self.peers.get(peer)
        if ours is None or theirs is None or ours.median is None or not theirs.median:
            return None
        return ours.median / theirs.median


@dataclass(slots=True)
class Footprint:
    """Seconds from start to the first served call; resident bytes idle, and with `connections` idle connections."""

    start_seconds: float | None = None
    idle_bytes: int | None = None
    connections: int = 0
    connected_bytes: int | None = None
    failed: str | None = None


@dataclass(slots=True)
class Results:
    """Everything that one run has found."""

    machine: dict[str, str]
    options: dict[str, Any]
    versions: dict[str, str]
    titles: dict[str, str]
    lacks: dict[str, str]
    rows: list[RowResult] = field(default_factory=list)
    footprint: dict[str, Footprint] = field(default_factory=dict)

    def disturbance(self) -> float:
        """The worst round's share of the machine that processes outside the benchmark used."""
        shares = (share for row in self.rows for figures in row.peers.values() for share in figures.disturbance)
        return max(shares, default=0.0)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @staticmethod
    def read(path: Path) -> Results:
        document = json.loads(path.read_text())
        rows = [
            RowResult(**{**row, "peers": {name: Figures(**figures) for name, figures in row["peers"].items()}})
            for row in document.pop("rows")
        ]
        footprint = {name: Footprint(**value) for name, value in document.pop("footprint").items()}
        return Results(**document, rows=rows, footprint=footprint)
