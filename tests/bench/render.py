"""Writes the figures of a run into docs/performance.md: `python -m tests.bench.render [RESULTS [PAGE]]`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from tests.bench.goals import verdicts
from tests.bench.results import Results
from tests.bench.screen import footprint_cells, latency, spread

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
MARKS = {True: "reached", False: "**missed**", None: "not measured"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=ROOT / "bench/results/results.json")
    parser.add_argument("page", type=Path, nargs="?", default=ROOT / "docs/performance.md")
    options = parser.parse_args()
    options.page.write_text(replace(options.page.read_text(), markdown(Results.read(options.results))))


def replace(page: str, figures: str) -> str:
    """`page` with `figures` between its two markers. Raises ValueError if they are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{figures}\n{END}{after}"


def markdown(results: Results) -> str:
    return "\n".join(_sections(results)) + "\n"


def _sections(results: Results) -> Iterator[str]:
    machine, options = results.machine, results.options
    versions = ", ".join(f"{results.titles[peer]} {version}" for peer, version in results.versions.items())
    pinned = "proxies on one CPU, driver and backend on the others" if options["pinned"] else "no process pinned"
    yield (
        f"Taken {options['taken']} on {machine['processor']}, {machine['cpus']} CPUs "
        f"({'a virtual machine' if machine['virtual'] == 'yes' else 'bare metal'}), {machine['memory']}, "
        f"{machine['system']}, Linux {machine['kernel']}, Python {machine['python']}; {options['rounds']} rounds of "
        f"{options['seconds']:g} s, {pinned}."
    )
    yield f"\n{versions}. Other processes used at most {results.disturbance():.0%} of the machine in any round.\n"
    titles = list(results.titles.values())
    yield "### CPU of the proxy\n\nMedian of the rounds [least-greatest]; `h2load` is the same row under h2load.\n"
    yield from table(
        ["workload", "unit", *titles],
        [
            [row.title, row.unit, *(spread(row.peers.get(peer), "<br>") for peer in results.titles)]
            for row in results.rows
        ],
    )
    yield "\n### Goals\n\nTidegate's median over the peer's, in the same run.\n"
    yield from table(
        ["workload", "against", "goal", "measured", ""],
        [
            [verdict.subject, verdict.against, verdict.goal, verdict.measured, MARKS[verdict.reached]]
            for verdict in verdicts(results)
        ],
    )
    yield "\n### Latency\n\np50 / p99 in microseconds. A closed loop queues by design: compare the paced row.\n"
    yield from table(
        ["workload", *titles],
        [[row.title, *(latency(row.peers.get(peer)) for peer in results.titles)] for row in results.rows],
    )
    if results.footprint:
        yield "\n### Start and memory\n"
        yield from table(
            ["proxy", "start to first served call", "idle RSS", "RSS with idle connections"],
            [[results.titles[peer], *footprint_cells(results, peer)] for peer in results.footprint],
        )
    yield "\n### What the peers do not do here\n"
    for peer, lacks in results.lacks.items():
        if lacks:
            yield f"- {results.titles[peer]}: {lacks}."
    for row in results.rows:
        for peer, note in row.notes.items():
            yield f'- {results.titles.get(peer, peer)} in "{row.title}": {note}.'
        for peer, reason in row.skipped.items():
            yield f'- {peer} took no part in "{row.title}": {reason}.'


def table(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield _line(head)
    yield _line(["---"] * len(head))
    yield from (_line(row) for row in rows)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    main()
