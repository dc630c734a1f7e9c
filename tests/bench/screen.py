"""The tables on screen."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tests.bench.goals import verdicts
from tests.bench.results import Figures, Results

DISTURBED = 0.05


def show(results: Results, console: Console) -> None:
    console.print(_cpu_table(results))
    console.print(_latency_table(results))
    if results.footprint:
        console.print(_footprint_table(results))
    console.print(_goal_table(results))
    for row in results.rows:
        for peer, reason in row.skipped.items():
            console.print(f"skipped: {results.titles.get(peer, peer)} in {row.title!r}: {reason}", style="yellow")
        for peer, figures in row.peers.items():
            if figures.failed:
                console.print(f"failed: {results.titles[peer]} in {row.title!r}: {figures.failed}", style="red")
    if results.disturbance() > DISTURBED:
        console.print(
            f"other processes used up to {results.disturbance():.0%} of this machine in a round: no result to keep",
            style="red",
        )
    for peer, lacks in results.lacks.items():
        if lacks:
            console.print(f"{results.titles[peer]}: {lacks}", style="dim")


def spread(figures: Figures | None, separator: str = "\n") -> str:
    """Median, and in brackets the least and the greatest round."""
    if figures is None:
        return ""
    if figures.median is None:
        return "failed"
    text = f"{number(figures.median)} [{number(min(figures.cpu))}-{number(max(figures.cpu))}]"
    return text if figures.confirmed is None else f"{text}{separator}h2load {number(figures.confirmed)}"


def number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _cpu_table(results: Results) -> Table:
    table = Table(title="CPU of the proxy: median of rounds [least-greatest]", show_lines=True)
    table.add_column("workload")
    table.add_column("unit")
    for title in results.titles.values():
        table.add_column(title, justify="right")
    for row in results.rows:
        cells = (spread(row.peers.get(peer)) for peer in results.titles)
        table.add_row(row.title, row.unit, *(cell.replace("[", "\\[") for cell in cells))
    return table


def _latency_table(results: Results) -> Table:
    table = Table(title="p50 / p99 in us, medians (a closed loop measures throughput, not latency: see the paced row)")
    table.add_column("workload")
    for title in results.titles.values():
        table.add_column(title, justify="right")
    for row in results.rows:
        table.add_row(row.title, *(latency(row.peers.get(peer)) for peer in results.titles))
    return table


def latency(figures: Figures | None) -> str:
    if figures is None:
        return ""
    p50, p99 = figures.middle("p50"), figures.middle("p99")
    return "" if p50 is None or p99 is None else f"{p50:.0f} / {p99:.0f}"


def _footprint_table(results: Results) -> Table:
    table = Table(title="Start and memory")
    for column in ("proxy", "start to first served call", "idle", "with idle connections"):
        table.add_column(column, justify="left" if column == "proxy" else "right")
    for peer, footprint in results.footprint.items():
        table.add_row(results.titles[peer], *footprint_cells(results, peer), style="red" if footprint.failed else "")
    return table


def footprint_cells(results: Results, peer: str) -> tuple[str, str, str]:
    footprint = results.footprint[peer]
    if footprint.failed:
        return (footprint.failed, "", "")
    seconds, idle, connected = footprint.start_seconds, footprint.idle_bytes, footprint.connected_bytes
    return (
        f"{seconds:.2f} s" if seconds is not None else "",
        f"{idle / 1e6:.0f} MB" if idle is not None else "",
        f"{connected / 1e6:.0f} MB at {footprint.connections:,}" if connected is not None else "",
    )


def _goal_table(results: Results) -> Table:
    table = Table(title="Goals")
    for column in ("workload", "against", "goal", "measured", ""):
        table.add_column(column)
    for verdict in verdicts(results):
        mark = {True: "[green]reached[/]", False: "[red]missed[/]", None: "[yellow]not measured[/]"}[verdict.reached]
        table.add_row(verdict.subject, verdict.against, verdict.goal, verdict.measured, mark)
    return table
