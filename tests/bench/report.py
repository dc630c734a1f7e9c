"""The result of a measurement that is one table: into its JSON file, onto the screen, into a page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.bench import machine
from tests.bench.goals import Verdict

MARKS = {True: "reached", False: "missed", None: "not measured"}
STYLES = {True: "green", False: "red", None: "yellow"}


@dataclass(slots=True)
class Report:
    """`head` and `rows` are the table as it is shown, `raw` all figures behind it, `disturbance` the share of the
    machine that processes outside the benchmark used."""

    title: str
    head: list[str]
    rows: list[list[str]]
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    disturbance: float | None = None
    raw: Any = None
    machine: dict[str, str] = field(default_factory=machine.describe)
    taken: str = field(default_factory=lambda: time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @staticmethod
    def read(path: Path) -> Report:
        document = json.loads(path.read_text())
        verdicts = [Verdict(**verdict) for verdict in document.pop("verdicts")]
        return Report(**document, verdicts=verdicts)

    def show(self, console: Console) -> None:
        table = Table(title=escape(self.title), show_lines=True)
        for index, column in enumerate(self.head):
            table.add_column(column, justify="right" if index else "left")
        for row in self.rows:
            table.add_row(*(escape(cell) for cell in row))
        console.print(table)
        if self.verdicts:
            goals = Table(title="Goals")
            for column in ("measured", "against", "goal", "found", ""):
                goals.add_column(column)
            for verdict in self.verdicts:
                cells = (verdict.subject, verdict.against, verdict.goal, verdict.measured)
                mark = f"[{STYLES[verdict.reached]}]{MARKS[verdict.reached]}[/]"
                goals.add_row(*(escape(cell) for cell in cells), mark)
            console.print(goals)
        for note in self.notes:
            console.print(note, style="dim", markup=False)

    def markdown(self) -> Iterator[str]:
        facts = self.machine
        kind = "a virtual machine" if facts["virtual"] == "yes" else "bare metal"
        where = (
            f"Taken {self.taken} on {facts['processor']}, {facts['cpus']} CPUs ({kind}), {facts['memory']}, "
            f"{facts['system']}, Linux {facts['kernel']}, Python {facts['python']}"
        )
        parts = [
            where,
            ", ".join(f"{name} {version}" for name, version in self.versions.items()),
            ", ".join(f"{name} {value}" for name, value in self.options.items()),
        ]
        yield "; ".join(part for part in parts if part) + "."
        if self.disturbance is not None:
            yield f"Other processes used at most {self.disturbance:.0%} of the machine in any round."
        yield ""
        yield from table_lines(self.head, self.rows)
        if self.verdicts:
            yield ""
            yield from table_lines(
                ["measured", "against", "goal", "found", ""],
                [
                    [verdict.subject, verdict.against, verdict.goal, verdict.measured, mark(verdict)]
                    for verdict in self.verdicts
                ],
            )
        if self.notes:
            yield ""
            yield from (f"- {note}" for note in self.notes)


def mark(verdict: Verdict) -> str:
    return "**missed**" if verdict.reached is False else MARKS[verdict.reached]


def table_lines(head: list[str], rows: list[list[str]]) -> Iterator[str]:
    """A table in Markdown."""
    yield _line(head)
    yield _line(["---"] * len(head))
    yield from (_line(row) for row in rows)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", "<br>") for cell in cells) + " |"
