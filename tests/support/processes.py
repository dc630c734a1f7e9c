"""Programs that tests start, and what is left of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.support.waiting import LONG_SECONDS, wait_for

ROOT = Path(__file__).resolve().parents[2]


class Program:
    """`with Program(command, folder) as program`: killed at the end of the block if it still runs."""

    def __init__(self, command: Sequence[str], folder: Path, environment: dict[str, str] | None = None) -> None:
        """Standard output and error go to files in `folder`. `environment` is added to ours."""
        self._stdout, self._stderr = folder / f"stdout-{id(self):x}", folder / f"stderr-{id(self):x}"
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={**os.environ, **(environment or {})},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def stdout(self) -> str:
        return self._stdout.read_text()

    @property
    def stderr(self) -> str:
        return self._stderr.read_text()

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def finish(self, seconds: float = LONG_SECONDS) -> int:
        """Waits for its end and returns the exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds:g} s; it said:\n{self.stdout}\n{self.stderr}") from None


def tidegate(*arguments: str) -> list[str]:
    """The command line that runs `tidegate` from this tree."""
    return [sys.executable, "-m", "infra.cli.main", *arguments]


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return not Path("/proc/self/stat").exists()
    return state != "Z"


def descendants(pid: int) -> set[int]:
    """The processes below `pid`, grandchildren included (Linux)."""
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        try:
            children = [int(text) for text in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
        except FileNotFoundError:
            continue
        found.update(children)
        waiting += children
    return found


def wait_until_gone(pids: set[int]) -> None:
    """AssertionError names those that stay."""
    wait_for(f"the end of {sorted(pids)}", lambda: not any(is_running(pid) for pid in pids))
