"""Child processes: where they run, when they are up, and their end."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.errors import BenchError

START_SECONDS = 15.0
STOP_SECONDS = 10.0


@contextmanager
def affinity(cpus: frozenset[int] | None) -> Iterator[None]:
    """Children started inside run on `cpus`."""
    if cpus is None:
        yield
        return
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one, for this process and its children; the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def stop(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """End `process` and its whole group (if it leads one): SIGTERM, then SIGKILL."""

    def send(number: signal.Signals) -> None:
        try:
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
        except ProcessLookupError:
            return

    if process.poll() is None:
        send(signal.SIGTERM)
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        send(signal.SIGKILL)
        process.wait(timeout=STOP_SECONDS)


@contextmanager
def listening(
    command: list[str], port: int, log: Path, *, cpus: frozenset[int] | None = None, host: str = "127.0.0.1"
) -> Iterator[subprocess.Popen[bytes]]:
    """`command`, running and accepting connections on `host`:`port`; its error output goes to `log`, its standard
    output nowhere. Raises BenchError with the end of the log if it does not come up."""
    with log.open("wb") as errors, affinity(cpus):
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, process_group=0
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _accepts(host, port):
            if process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
                raise BenchError(f"{command[0]} did not start to listen on {port}:\n{tail}")
            time.sleep(0.005)
        yield process
    finally:
        stop(process)


def _accepts(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
