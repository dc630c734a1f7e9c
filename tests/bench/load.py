"""The load driver and the backend, as child processes."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tests.bench.errors import BenchError
from tests.bench.process import affinity, stop

if TYPE_CHECKING:
    from tests.bench.certificates import Certificates

CallKind = Literal["echo", "feed", "health-h2", "health-http1"]

COUNTED: dict[CallKind, str] = {"echo": "echo", "feed": "feed", "health-h2": "health", "health-http1": "health"}
"""The backend's counter that a call of each kind adds to."""


@dataclass(frozen=True, slots=True)
class Load:
    """One run of the driver.

    `requests` counts calls, of which `duration` (seconds) may leave some unsent. `rate` (calls per second) makes the
    loop open, and calls then leave at multiples of `tick` seconds, 0: each at its own time. `warm_up` calls are made on
    each connection before the measured ones, and the first of all is repeated for `wait` seconds until it succeeds.
    Calls without an answer after `limit` seconds have failed. `window` (seconds): calls of each such time are also told
    apart; 0: they are not.
    """

    call: CallKind = "echo"
    connections: int = 16
    streams: int = 10
    requests: int = 100_000
    duration: float | None = None
    rate: float | None = None
    tick: float = 0.0
    warm_up: int = 100
    wait: float | None = None
    limit: float = 120.0
    threads: int = 1
    window: float = 0.0
    tokens: Path | None = None
    token_change: Literal["connection", "request"] = "connection"
    ca: Path | None = None

    def arguments(self, port: int) -> list[str]:
        given: dict[str, object] = {
            "target": f"127.0.0.1:{port}",
            "call": self.call,
            "connections": self.connections,
            "streams": self.streams,
            "requests": self.requests,
            "warm-up": self.warm_up,
            "limit": self.limit,
            "threads": self.threads,
        }
        if self.wait is not None:
            given["wait"] = self.wait
        if self.duration is not None:
            given["duration"] = self.duration
        if self.rate is not None:
            given |= {"rate": self.rate, "tick": self.tick}
        if self.window:
            given["window"] = self.window
        if self.tokens is not None:
            given |= {"tokens": self.tokens, "token-change": self.token_change}
        if self.ca is not None:
            given["ca"] = self.ca
        return [f"--{name}={value}" for name, value in given.items()]


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed: when it was sent (paced: due) and when that was known, in seconds of `time.monotonic`."""

    sent: float
    ended: float
    kind: str


@dataclass(frozen=True, slots=True)
class Window:
    """The calls that were sent within one window of the run. Latencies are microseconds."""

    ok: int
    failed: int
    latency_us: dict[str, float]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The driver's result. Latencies are microseconds, `bytes` those of response bodies. `failures` has the first
    10,000 of each of its threads."""

    sent: int
    ok: int
    failed: dict[str, int]
    bytes: int
    elapsed_seconds: float
    per_second: float
    latency_us: dict[str, float]
    warm_up_failed: int
    failures: tuple[Failure, ...]
    windows: tuple[Window, ...]

    @staticmethod
    def parse(line: str) -> Outcome:
        document: dict[str, Any] = json.loads(line)
        failures = tuple(
            Failure(one["sent"] / 1e9, one["ended"] / 1e9, one["kind"]) for one in document.pop("failures")
        )
        windows = tuple(Window(**one) for one in document.pop("windows"))
        return Outcome(**document, failures=failures, windows=windows)


def drive(
    driver: Path,
    load: Load,
    port: int,
    *,
    cpus: frozenset[int] | None = None,
    before: Callable[[int], None] = lambda _driver: None,
    after: Callable[[int], None] = lambda _driver: None,
) -> Outcome:
    """Run `load` against `port`. `before` is called when all connections are open and warm, `after` when every call has
    ended and before the connections close; both with the driver's pid."""
    command = [str(driver), *load.arguments(port), "--gate"]
    with affinity(cpus):
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if process.stdout.readline().strip() != "ready":
            raise BenchError(f"the driver did not get ready: {' '.join(command)}")
        before(process.pid)
        process.stdin.write("go\n")
        process.stdin.flush()
        line = process.stdout.readline()
        after(process.pid)
        if not line:
            raise BenchError(f"the driver gave no result: {' '.join(command)}")
        return Outcome.parse(line)
    finally:
        process.stdin.close()
        process.stdout.close()
        stop(process)


def served(admin: int) -> dict[str, int]:
    """Calls per method that the backend has served since its last reset."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/counts", timeout=5) as response:
        counts: dict[str, int] = json.load(response)
        return counts


def addresses(admin: int) -> dict[str, int]:
    """Calls per address (`host:port`) that the backend has served since its last reset, checks of health left out."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin}/addresses", timeout=5) as response:
        counts: dict[str, int] = json.load(response)
        return counts


def reset(admin: int) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{admin}/reset", method="POST")
    urllib.request.urlopen(request, timeout=5).close()


@contextmanager
def backend(
    binary: Path,
    port: int,
    admin: int,
    *,
    host: str = "127.0.0.1",
    also: Sequence[str] = (),
    delay: float = 0.0,
    tls: Certificates | None = None,
    cpus: frozenset[int] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A running backend. Raises BenchError if it does not come up within 5 s.

    `host` 0.0.0.0: it is at every address of 127.0.0.0/8. `also` are more addresses (host:port). It answers after
    `delay` seconds.
    """
    listens = [f"--listen={address}" for address in (f"{host}:{port}", *also)]
    command = [str(binary), *listens, f"--admin=127.0.0.1:{admin}"]
    if delay:
        command.append(f"--delay={delay * 1000:.0f}")
    if tls is not None:
        command += [f"--certificate={tls.certificate}", f"--key={tls.key}"]
    with affinity(cpus):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 5
        while True:
            try:
                served(admin)
                break
            except OSError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise BenchError(f"the backend did not start: {' '.join(command)}") from error
                time.sleep(0.02)
        yield process
    finally:
        stop(process)
        if process.stdout is not None:
            process.stdout.close()
