"""How a world that runs is shown: renewed in a terminal, line by line anywhere else."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from infra.cli import live, up
from infra.cli.live import LiveTable, PlainLines, Silent
from infra.world.load import ClientLoad
from infra.world.table import ClientRow, Picture, PodRow

POD = PodRow("us-central1/0", "us-central1", "not ready", "UNHEALTHY", 12.5, 0.5, "hang")
PICTURE = Picture((POD,), (ClientRow("us-central1", ClientLoad(100.0, 90.0, 10.0, {"asia-east1": 90.0}, 1.0, None)),))


def test_a_terminal_gets_tables_and_what_is_told_between_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    output = io.StringIO()
    with LiveTable(Console(file=output, force_terminal=True, width=120, color_system=None)) as view:
        view.tell("starting")
        view.show(PICTURE)
        view.tell("us-central1/0: [hangs]")
        view.show(Picture((POD,), ()))
    shown = output.getvalue()
    assert capsys.readouterr().err == "starting\n"
    assert "us-central1/0  not ready  unhealthy" in shown
    assert "asia-east1 100%" in shown
    assert "us-central1/0: [hangs]" in shown
    assert shown.index("asia-east1 100%") < shown.index("[hangs]")


def test_in_a_narrow_terminal_pods_are_still_told_apart() -> None:
    output = io.StringIO()
    Console(file=output, width=40).print(live.render(PICTURE))
    assert "us-central1/0 " in output.getvalue()


def test_a_pipe_gets_lines_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    times = iter((100.0, 101.0, 100.0 + live.LINES_SECONDS))
    monkeypatch.setattr("infra.cli.live.time.monotonic", lambda: next(times))
    view = PlainLines()
    shown = []
    for _ in range(3):
        view.show(PICTURE)
        shown.append(len(capsys.readouterr().out.splitlines()))
    assert shown == [2, 0, 2]


def test_a_program_gets_nothing_but_the_state(capsys: pytest.CaptureFixture[str]) -> None:
    with Silent() as view:
        view.show(PICTURE)
        view.tell("starting")
    assert capsys.readouterr() == ("", "starting\n")


@pytest.mark.parametrize("options", [("--load", "fast"), ("--load", "0/s"), ("--propagation-delay", "soon")])
def test_bad_options_are_refused(options: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        up.main(options)
    assert end.value.code == 2
    assert f'"{options[1]}"' in capsys.readouterr().err
