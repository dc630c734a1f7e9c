"""From figures to verdicts, to the file and back, to the picture and to the page."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.console import Console

from tests.bench import picture, render
from tests.bench.goals import Verdict, verdicts
from tests.bench.report import Report
from tests.bench.results import Figures, Footprint, Results, RowResult

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def figures(*cpu: float, failed: str | None = None) -> Figures:
    rounds = len(cpu)
    return Figures(list(cpu), [1e5] * rounds, [100.0] * rounds, [900.0] * rounds, [0.01] * rounds, failed=failed)


@pytest.fixture
def results() -> Results:
    plain = RowResult(
        "plain",
        "plain, 16 x 10",
        "us/call",
        {"envoy": 0.10, "relay": 1.0},
        {},
        peers={"tidegate": figures(2.0, 1.0, 9.0), "envoy": figures(20.0, 21.0, 19.0), "relay": figures(1.5, 1.5, 1.5)},
    )
    paced = RowResult(
        "paced",
        "paced",
        "us/call",
        {"envoy": 0.12},
        {},
        peers={"tidegate": figures(5.0), "envoy": figures(30.0, failed="1 of 2 calls were answered correctly")},
        skipped={"nginx": "nginx is not installed (Debian nginx-light)"},
    )
    return Results(
        machine={
            "processor": "A <fast> one",
            "cpus": "2",
            "memory": "8 GiB",
            "virtual": "no",
            "kernel": "6.1",
            "system": "Debian",
            "python": "3.11",
        },
        options={"rounds": 3, "seconds": 1.0, "pinned": True, "taken": "2026-01-01 00:00 UTC"},
        versions={"tidegate": "0.1.0", "envoy": "1.40.0", "relay": "2.6"},
        titles={"tidegate": "Tidegate", "envoy": "Envoy", "relay": "TCP relay"},
        lacks={"tidegate": "", "envoy": "no access log", "relay": "moves bytes only"},
        rows=[plain, paced],
        footprint={"tidegate": Footprint(0.5, 61_000_000, 10_000, 90_000_000), "envoy": Footprint(0.2, 7, 10_000, 9)},
    )


def test_a_goal_is_a_ratio_of_medians(results: Results) -> None:
    found = {(verdict.subject, verdict.against): verdict for verdict in verdicts(results)}
    assert found["plain, 16 x 10", "Envoy"].measured == "0.10"
    assert found["plain, 16 x 10", "Envoy"].reached is True
    assert found["plain, 16 x 10", "TCP relay"].measured == "1.33"
    assert found["plain, 16 x 10", "TCP relay"].reached is False


def test_a_figure_that_does_not_count_reaches_no_goal(results: Results) -> None:
    found = {(verdict.subject, verdict.against): verdict for verdict in verdicts(results)}
    assert found["paced", "Envoy"].reached is None
    assert found["p99 at paced load", "Envoy"].reached is None


def test_memory_and_start_have_goals(results: Results) -> None:
    found = {verdict.subject: verdict.reached for verdict in verdicts(results)}
    assert found["idle RSS"] is False
    assert found["start to first served call"] is True
    assert found["RSS with 10,000 idle connections"] is False


def test_the_file_holds_everything(results: Results, tmp_path: Path) -> None:
    results.write(tmp_path / "deep" / "results.json")
    assert Results.read(tmp_path / "deep" / "results.json") == results


def test_the_picture_has_a_bar_for_every_figure_that_counts(results: Results, tmp_path: Path) -> None:
    picture.draw(results, tmp_path / "cpu.svg")
    tree = ET.parse(tmp_path / "cpu.svg")
    bars = [element for element in tree.iter("{http://www.w3.org/2000/svg}rect") if element.get("height") == "16"]
    assert len(bars) == 4


def test_the_page_keeps_what_stands_around_the_figures(results: Results) -> None:
    page = render.replace(f"# Page\n{BEGIN}\nold\n{END}\nafter\n", render.markdown(results))
    assert page.startswith("# Page\n")
    assert page.endswith("\nafter\n")
    assert "old" not in page
    assert "| plain, 16 x 10 | us/call | 2.00 [1.00-9.00] | 20.0 [19.0-21.0] | 1.50 [1.50-1.50] |" in page
    assert "nginx is not installed" in page


def test_a_page_without_markers_is_refused(results: Results) -> None:
    with pytest.raises(ValueError, match="bench:begin"):
        render.replace("# Page\n", render.markdown(results))


def spread_row(endpoints: int, **medians: float) -> RowResult:
    peers = {peer: figures(median) for peer, median in medians.items()}
    return RowResult(f"spread-{endpoints}", f"over {endpoints}", "us/call", {"envoy": 0.15}, {}, peers=peers)


def test_growth_stands_beside_that_of_the_others(results: Results) -> None:
    results.rows += [
        spread_row(1, tidegate=2.0, envoy=20.0, relay=1.0),
        spread_row(3, tidegate=2.4, envoy=24.0, relay=2.0),
        spread_row(100, tidegate=6.0, envoy=30.0, relay=4.0),
    ]
    found = {verdict.subject: verdict for verdict in verdicts(results)}
    three, hundred = found["growth from 1 endpoint to 3"], found["growth from 1 endpoint to 100"]
    assert (three.measured, three.against, three.reached) == ("1.20 x", "Envoy 1.20 x, TCP relay 2.00 x", True)
    assert (hundred.measured, hundred.goal, hundred.reached) == ("3.00 x", "<= 2.5 x", False)


def test_growth_needs_the_row_of_one_endpoint(results: Results) -> None:
    results.rows.append(spread_row(3, tidegate=2.4, envoy=24.0))
    found = {verdict.subject: verdict for verdict in verdicts(results)}
    assert found["growth from 1 endpoint to 3"].reached is None


@pytest.fixture
def report() -> Report:
    return Report(
        title="A [bold] title",
        head=["way", "calls"],
        rows=[["a | b", "[red]1[/]"]],
        verdicts=[Verdict("failed", "", "0", "1", reached=False)],
        notes=["Not measured: c."],
        versions={"Envoy": "1.40.0"},
        options={"rounds": 3},
        raw=[{"failed": 1}],
    )


def test_a_report_is_kept_whole(report: Report, tmp_path: Path) -> None:
    report.write(tmp_path / "deep" / "kill.json")
    assert Report.read(tmp_path / "deep" / "kill.json") == report


def test_a_report_is_a_table_in_its_page(report: Report) -> None:
    page = f"# Page\n{BEGIN}\n{END}\n<!-- kill:begin -->\nold\n<!-- kill:end -->\n"
    shown = render.replace(page, "\n".join(report.markdown()), "kill")
    assert "old" not in shown
    assert "| a \\| b | [red]1[/] |" in shown
    assert "| failed |  | 0 | 1 | **missed** |" in shown
    assert "Envoy 1.40.0; rounds 3." in shown
    assert "- Not measured: c." in shown


def test_a_report_is_shown_as_it_is_written(report: Report) -> None:
    console = Console(width=100, file=io.StringIO(), force_terminal=False)
    report.show(console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "A [bold] title" in shown
    assert "[red]1[/]" in shown
    assert "missed" in shown


@pytest.mark.parametrize("name", sorted(render.REPORTS))
def test_every_report_has_its_place(name: str, report: Report) -> None:
    page = render.REPORTS[name].read_text()
    assert "Not measured: c." in render.replace(page, "\n".join(report.markdown()), name)
