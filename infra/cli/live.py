"""Shows a world that runs: a table that renews itself in a terminal, now and then a few lines anywhere else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, Self

from infra.cli.console import tell, write
from infra.world.table import CLIENT_COLUMNS, POD_COLUMNS, client_cells, lines, pod_cells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.table import Table

    from infra.world.table import Picture

LINES_SECONDS = 5.0
"""Between two groups of plain lines, which somebody may keep in a file."""


class View(Protocol):
    """`with view: ...`; what is told meanwhile does not disturb what is shown."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...

    def tell(self, text: str) -> None: ...

    def show(self, picture: Picture) -> None: ...


class Silent:
    """For programs, which read up.json."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass

    def tell(self, text: str) -> None:
        tell(text)

    def show(self, picture: Picture) -> None:
        pass


class PlainLines(Silent):
    """For files and pipes."""

    def __init__(self) -> None:
        self._next = 0.0

    def show(self, picture: Picture) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + LINES_SECONDS
            for line in lines(picture):
                write(line)


class LiveTable:
    """For a terminal: what is told scrolls by above the table."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._live is not None:
            self._live.stop()

    def tell(self, text: str) -> None:
        if self._live is None:
            tell(text)
        else:
            self._console.print(text, markup=False, highlight=False)

    def show(self, picture: Picture) -> None:
        if self._live is None:
            from rich.live import Live

            self._live = Live(console=self._console, auto_refresh=False)
            self._live.start()
        self._live.update(render(picture), refresh=True)


def render(picture: Picture) -> RenderableType:
    """The tables of a picture, for rich."""
    from rich.console import Group

    broken = ["red" if row.is_broken else None for row in picture.pods]
    tables = [_table(POD_COLUMNS, pod_cells(picture), broken)]
    if picture.clients:
        tables.append(_table(CLIENT_COLUMNS, client_cells(picture), [None] * len(picture.clients)))
    return Group("", *tables)


def _table(columns: Sequence[str], cells: Sequence[tuple[str, ...]], styles: Sequence[str | None]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        # In a narrow terminal names and states stay whole.
        table.add_column(column, no_wrap=position < 2)
    for row, style in zip(cells, styles, strict=True):
        table.add_row(*row, style=style)
    return table
