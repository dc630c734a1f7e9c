"""The goals, each with what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.bench.results import Results

IDLE_BYTES = 60_000_000
START_SECONDS = 1.0


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
