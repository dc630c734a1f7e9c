"""The process around a gateway: its signals, its log and its exit status."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.command import main
from gateway.lifecycle.descriptors import raise_descriptor_limit

ROOT = Path(__file__).parents[2]


class Program:
    """A process that serves, and the lines of its log."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.lines: list[dict[str, Any]] = []

    async def said(self, words: str) -> dict[str, Any]:
        """Reads the log until a message has these words."""
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while line := await self.process.stderr.readline():
                self.lines.append(json.loads(line))
                if words in self.lines[-1]["message"]:
                    return self.lines[-1]
        raise AssertionError(f"{words!r} is not in {self.lines}")

    def open(self, streams: int) -> None:
        """How many streams clients have from now on; in one step, as the process may read at any moment."""
        fresh = self.folder / "open.fresh"
        fresh.write_text(str(streams))
        fresh.rename(self.folder / "open")

    async def ended(self) -> int:
        async with asyncio.timeout(30):
            return await self.process.wait()


async def begin(folder: Path, config: str) -> Program:
    (folder / "config.json").write_text(config)
    (folder / "open").write_text("1")
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.process.program", str(folder), stderr=asyncio.subprocess.PIPE, env=environ
    )
    return Program(process, folder)


@pytest.fixture
async def program(tmp_path: Path) -> AsyncIterator[Program]:
    running = await begin(tmp_path, '{"listener": "http"}')
    await running.said("Serving with 1 workers.")
    yield running
    if running.process.returncode is None:
        running.process.kill()
        await running.process.wait()


async def test_the_start_says_where_it_listens_and_what_to_know(program: Program) -> None:
    messages = [(line["severity"], line["message"]) for line in program.lines]
    assert ("WARNING", "config.json:1: quota: not honoured") in messages
    assert ("INFO", "Listening on 127.0.0.1:4242 (http, cleartext).") in messages
    assert program.lines[-1]["addresses"] == {"http": "127.0.0.1:4242"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_until_the_last_stream_has_ended(program: Program, number: signal.Signals) -> None:
    program.process.send_signal(number)
    await program.said("Draining: closing")
    assert program.process.returncode is None
    program.open(0)
    await program.said("Stopping with 0 streams")
    assert await program.ended() == 0


async def test_a_second_signal_ends_it(program: Program) -> None:
    program.process.send_signal(signal.SIGTERM)
    await program.said("Draining: closing")
    program.process.send_signal(signal.SIGTERM)
    await program.said("Stopping with 1 streams")
    assert await program.ended() == 0


async def test_a_signal_during_the_start_ends_it(tmp_path: Path) -> None:
    running = await begin(tmp_path, '{"listener": "http", "hang": true}')
    await running.said("fetching")
    running.process.send_signal(signal.SIGTERM)
    assert await running.ended() != 0


async def test_sighup_reloads(program: Program) -> None:
    program.process.send_signal(signal.SIGHUP)
    await program.said("A new configuration is served.")


async def test_a_changed_file_is_taken_over_and_a_bad_one_refused(program: Program) -> None:
    (program.folder / "config.json").write_text("{")
    assert (await program.said("A new configuration was refused"))["severity"] == "ERROR"
    (program.folder / "config.json").write_text('{"listener": "other"}')
    await program.said("A new configuration is served.")


def test_the_descriptor_limit_is_raised_to_the_hard_one() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        assert raise_descriptor_limit() == before[1]
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_wrong_command_line_is_answered_with_every_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--http2_port=notaport", "--backnd=grpc://127.0.0.1:1"]) == 1
    errors = capsys.readouterr().err
    assert "http2_port" in errors
    assert "backnd" in errors
