"""The process under test, from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, Self

from tests.support.processes import ROOT

PAGE_BYTES = 4096
BEAT_SECONDS = 20.0


class CoreProcess:
    """`with CoreProcess() as core`. Calls may come from any thread."""

    def __init__(self, workers: int = 2) -> None:
        self._workers = workers

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tests.soak.core_process", str(self._workers)]
        self._stderr = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, text=True
        )
        self._lock = threading.Lock()
        return self

    def __exit__(self, *exc_info: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._stderr.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    def apply(self, snapshot: dict[str, Any]) -> None:
        self._call("apply", snapshot)

    def set_endpoints(self, backend: str, addresses: list[str]) -> None:
        self._call("set_endpoints", backend, [(address, 1, 0, 0) for address in addresses])

    def address(self, listener: str) -> tuple[str, int]:
        host, _, port = dict(self._call("listeners"))[listener].rpartition(":")
        return host, int(port)

    def active_streams(self) -> int:
        number: int = self._call("active_streams")
        return number

    def active_connections(self) -> int:
        number: int = self._call("active_connections")
        return number

    def every_worker_answers(self) -> bool:
        return None not in self._call("beat", BEAT_SECONDS)

    def complaints(self) -> str:
        """What it wrote to standard error: where a worker failed."""
        return os.pread(self._stderr.fileno(), 1 << 20, 0).decode()

    def status(self) -> str:
        text: str = self._call("status")
        return text

    def stats(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self._call("stats"))
        return document

    def total(self, kind: str, name: str) -> int:
        """The sum of one of the `counters` or `gauges` over its labels."""
        return sum(entry["value"] for entry in self.stats()[kind] if entry["name"] == name)

    def open_files(self) -> list[str]:
        """What each descriptor refers to, as the kernel names it; sockets by their two ends."""
        ends = {}
        for line in Path(f"/proc/{self._process.pid}/net/tcp").read_text().splitlines()[1:]:
            columns = line.split()
            ends[f"socket:[{columns[9]}]"] = f"{_port(columns[1])} -> {_port(columns[2])} in state {columns[3]}"
        links = (link.readlink() for link in Path(f"/proc/{self._process.pid}/fd").iterdir())
        return [ends.get(str(link), str(link)) for link in links]

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * PAGE_BYTES

    def _call(self, *request: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        assert line, f"the core's process ended: {self._process.wait(10)}"
        error, result = json.loads(line)
        assert error is None, f"{request[0]}: {error}"
        return result


def _port(end: str) -> int:
    return int(end.rpartition(":")[2], 16)
