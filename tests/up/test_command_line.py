from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.cli import commands
from infra.cli.main import main
from tests.support.processes import ROOT, tidegate


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_help_names_each_command_with_an_example(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 0
    text = capsys.readouterr().out
    for command in commands.COMMANDS:
        assert command.summary in text
        assert f"$ {command.example}" in text
        assert command.example.startswith(f"tidegate {command.name} ")


@pytest.mark.parametrize("name", ["up", "token"])
def test_help_of_one_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["help", name])
    assert end.value.code == 0
    assert f"usage: tidegate {name}" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("tidegate ")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("gatway", '"gateway"'), ("tokne", '"token"'), ("--hlep", '"--help"'), ("xyz", "lists them all")],
)
def test_an_unknown_command_is_refused_with_a_suggestion(
    typed: str, meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([typed]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert f'"{typed}"' in output.err
    assert meant in output.err


def test_help_imports_nothing_heavy() -> None:
    program = "import sys; from infra.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in result.stderr.split()}
    heavy = {"aiohttp", "argparse", "asyncio", "cryptography", "google", "grpc", "jwt", "pydantic", "rich", "ruamel"}
    assert loaded & heavy == set()


def test_a_reader_that_has_gone_is_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(tidegate("--help"), cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (result.returncode, result.stderr) == (141, b"")


def test_how_a_command_ends_is_its_exit_status(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ending_command.py").write_text(
        "def main(argv):\n"
        "    if argv == ['interrupted']:\n        raise KeyboardInterrupt\n"
        "    if argv == ['unbuilt']:\n        raise ModuleNotFoundError('none', name='tidegate_core')\n"
        "    raise SystemExit(7)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    ending = commands.Command("ending", "Test", "Ends.", "tidegate ending ", "ending_command")
    monkeypatch.setattr(commands, "COMMANDS", (ending,))
    assert main(["ending", "interrupted"]) == 130
    assert main(["ending", "unbuilt"]) == 1
    assert "make build" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="7"):
        main(["ending"])
