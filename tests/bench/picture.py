"""The figures as a picture: one block of bars per row, each block on its own scale."""

from __future__ import annotations

from html import escape
from pathlib import Path

from tests.bench.results import Results, RowResult
from tests.bench.screen import number

WIDTH, NAME_WIDTH, BAR_WIDTH = 860, 170, 540
BAR_HEIGHT, STEP, HEAD, GAP = 16, 22, 30, 18
OURS, OTHERS, WHISKER = "#0b7285", "#adb5bd", "#343a40"


def draw(results: Results, path: Path) -> None:
    """Writes an SVG to `path`."""
    parts: list[str] = []
    y = 44
    for row in results.rows:
        block, height = _block(row, results.titles, y)
        parts.append(block)
        y += height + GAP
    machine = results.machine
    caption = (
        f"CPU time of the proxy, median of {results.options['rounds']} rounds; lower is better. "
        f"{machine['processor']}, {machine['cpus']} CPUs, Linux {machine['kernel']}"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" '
        'font-family="system-ui, sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>\n'
        f'<text x="16" y="24" fill="#495057">{escape(caption)}</text>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _block(row: RowResult, titles: dict[str, str], top: int) -> tuple[str, int]:
    """One row of the benchmark from `top` down, and its height."""
    medians = [(name, median) for name in titles if name in row.peers and (median := row.peers[name].median)]
    longest = max((max(row.peers[name].cpu) for name, _ in medians), default=1.0)
    parts = [f'<text x="16" y="{top + 14}" font-weight="600">{escape(row.title)} ({escape(row.unit)})</text>']
    for index, (name, median) in enumerate(medians):
        y = top + HEAD + index * STEP
        figures = row.peers[name]
        low, high = (NAME_WIDTH + value / longest * BAR_WIDTH for value in (min(figures.cpu), max(figures.cpu)))
        middle = y + BAR_HEIGHT / 2
        parts.append(
            f'<text x="{NAME_WIDTH - 8}" y="{y + 12}" text-anchor="end">{escape(titles[name])}</text>'
            f'<rect x="{NAME_WIDTH}" y="{y}" width="{median / longest * BAR_WIDTH:.1f}" height="{BAR_HEIGHT}" '
            f'fill="{OURS if name == "tidegate" else OTHERS}"/>'
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" stroke="{WHISKER}"/>'
            f'<text x="{high + 8:.1f}" y="{y + 12}">{number(median)}</text>'
        )
    return "\n".join(parts), HEAD + len(medians) * STEP
