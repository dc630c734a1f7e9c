"""The goals, each with what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.bench.results import Results, RowResult

IDLE_BYTES = 60_000_000
START_SECONDS = 1.0
GROWTH = {3: 1.3, 100: 2.5}
"""The highest growth of the CPU time of a call from one endpoint to so many."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reached` None: not measured in this run."""

    subject: str
    against: str
    goal: str
    measured: str
    reached: bool | None


def verdicts(results: Results) -> Iterator[Verdict]:
    for row in results.rows:
        for peer, goal in row.goals.items():
            ratio = row.ratio(peer)
            yield Verdict(
                subject=row.title,
                against=results.titles.get(peer, peer),
                goal=f"<= {goal:g}",
                measured="" if ratio is None else f"{ratio:.2f}",
                reached=None if ratio is None else ratio <= goal,
            )
    yield from _paced_latency(results)
    yield from _growth(results)
    yield from _footprint(results)


def _paced_latency(results: Results) -> Iterator[Verdict]:
    for row in results.rows:
        if row.name == "paced":
            ours, envoys = row.peers.get("tidegate"), row.peers.get("envoy")
            yield _at_most(
                "p99 at paced load",
                "Envoy",
                ours.middle("p99") if ours else None,
                envoys.middle("p99") if envoys else None,
                lambda value: f"{value:.0f} us",
            )


def _growth(results: Results) -> Iterator[Verdict]:
    """More endpoints are more sockets, and fewer calls share a system call: for every proxy."""
    rows = {row.name: row for row in results.rows}
    for endpoints, goal in GROWTH.items():
        row = rows.get(f"spread-{endpoints}")
        if row is None:
            continue
        grown = {peer: growth(rows.get("spread-1"), row, peer) for peer in row.peers}
        others = [
            f"{results.titles[peer]} {ratio:.2f} x" for peer, ratio in grown.items() if peer != "tidegate" and ratio
        ]
        ours = grown.get("tidegate")
        yield Verdict(
            subject=f"growth from 1 endpoint to {endpoints}",
            against=", ".join(others),
            goal=f"<= {goal:g} x",
            measured="" if ours is None else f"{ours:.2f} x",
            reached=None if ours is None else ours <= goal,
        )


def growth(one: RowResult | None, many: RowResult, peer: str) -> float | None:
    """The peer's median in `many` over its median in `one`, where both have one."""
    before = one.peers.get(peer) if one else None
    after = many.peers.get(peer)
    if before is None or after is None or not before.median or after.median is None:
        return None
    return after.median / before.median


def _footprint(results: Results) -> Iterator[Verdict]:
    ours, envoys = results.footprint.get("tidegate"), results.footprint.get("envoy")
    if ours is None:
        return
    yield _at_most("idle RSS", "60 MB", ours.idle_bytes, IDLE_BYTES, _megabytes)
    yield _at_most(
        "start to first served call", "1 s", ours.start_seconds, START_SECONDS, lambda value: f"{value:.2f} s"
    )
    theirs = envoys.connected_bytes if envoys else None
    yield _at_most(f"RSS with {ours.connections:,} idle connections", "Envoy", ours.connected_bytes, theirs, _megabytes)


def _at_most(
    subject: str, against: str, ours: float | None, bound: float | None, text: Callable[[float], str]
) -> Verdict:
    return Verdict(
        subject=subject,
        against=against,
        goal="" if bound is None else f"<= {text(bound)}",
        measured="" if ours is None else text(ours),
        reached=ours <= bound if ours is not None and bound is not None else None,
    )


def _megabytes(value: float) -> str:
    return f"{value / 1e6:.0f} MB"
