"""From figures to verdicts, to the file and back, to the picture and to the page."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.bench import picture, render
from tests.bench.goals import verdicts
from tests.bench.results import Figures, Footprint, Results, RowResult


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
    page = render.replace(f"# Page\n{render.BEGIN}\nold\n{render.END}\nafter\n", render.markdown(results))
    assert page.startswith("# Page\n")
    assert page.endswith("\nafter\n")
    assert "old" not in page
    assert "| plain, 16 x 10 | us/call | 2.00 [1.00-9.00] | 20.0 [19.0-21.0] | 1.50 [1.50-1.50] |" in page
    assert "nginx is not installed" in page


def test_a_page_without_markers_is_refused(results: Results) -> None:
    with pytest.raises(ValueError, match="bench:begin"):
        render.replace("# Page\n", render.markdown(results))
