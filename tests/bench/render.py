"""Writes figures into the pages that show them: `python -m tests.bench.render [FOLDER]`, or `make bench-page`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from tests.bench.goals import verdicts
from tests.bench.report import Report, mark, table_lines
from tests.bench.results import Results
from tests.bench.screen import footprint_cells, latency, spread

ROOT = Path(__file__).parents[2]
PERFORMANCE = ROOT / "docs/performance.md"
REPORTS = {
    "kill": PERFORMANCE,
    "grow": PERFORMANCE,
    "churn": PERFORMANCE,
    "failover": ROOT / "docs/failover.md",
    "balancing": ROOT / "docs/guides/balancing-on-kubernetes.md",
}
"""The page of each report; those that were not made keep what they have."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "bench/results", help="of the JSON files")
    options = parser.parse_args()
    whole = options.folder / "results.json"
    if whole.exists():
        PERFORMANCE.write_text(replace(PERFORMANCE.read_text(), markdown(Results.read(whole))))
    for name, page in REPORTS.items():
        file = options.folder / f"{name}.json"
        if file.exists():
            figures = "\n".join(Report.read(file).markdown()) + "\n"
            page.write_text(replace(page.read_text(), figures, name))


def replace(page: str, figures: str, name: str = "bench") -> str:
    """`page` with `figures` between the two markers of that name. Raises ValueError if they are not there."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"the page has no {begin} ... {end}")
    return f"{before}{begin}\n\n{figures}\n{end}{after}"


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
    yield from table_lines(
        ["workload", "unit", *titles],
        [
            [row.title, row.unit, *(spread(row.peers.get(peer), "<br>") for peer in results.titles)]
            for row in results.rows
        ],
    )
    yield "\n### Goals\n\nTidegate's median over the peer's, in the same run.\n"
    yield from table_lines(
        ["workload", "against", "goal", "measured", ""],
        [
            [verdict.subject, verdict.against, verdict.goal, verdict.measured, mark(verdict)]
            for verdict in verdicts(results)
        ],
    )
    yield "\n### Latency\n\np50 / p99 in microseconds. A closed loop queues by design: compare the paced row.\n"
    yield from table_lines(
        ["workload", *titles],
        [[row.title, *(latency(row.peers.get(peer)) for peer in results.titles)] for row in results.rows],
    )
    if results.footprint:
        yield "\n### Start and memory\n"
        yield from table_lines(
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


if __name__ == "__main__":
    main()
