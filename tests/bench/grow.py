"""A backend's set from 1 endpoint to 100 and back under paced load, found by DNS."""

from __future__ import annotations

import asyncio
import statistics
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass

from tests.bench import proof
from tests.bench.errors import BenchError
from tests.bench.goals import Verdict
from tests.bench.load import Load, Outcome, addresses, backend, drive, reset
from tests.bench.peers.tidegate import Tidegate, gateway_file
from tests.bench.place import endpoints
from tests.bench.process import free_port, listening
from tests.bench.report import Report
from tests.bench.stage import Stage
from tests.support.name_server import NameServer

MANY = 100
RATE = 4000.0
CONNECTIONS = 16
WINDOW = 1.5
"""Seconds. The set grows at the third window and shrinks at the fifth; the first one warms up."""
PHASES = ("warm-up", "1 endpoint", "1 to 100", "100 endpoints", "100 to 1", "1 endpoint again")
GROWS, SHRINKS = PHASES.index("1 to 100") * WINDOW, PHASES.index("100 to 1") * WINDOW
REPETITIONS, QUICK_REPETITIONS = 5, 1
NAME = "app.bench.test"
INTERVAL = "100ms"


@dataclass(frozen=True, slots=True)
class Change:
    """One repetition: latencies in microseconds and failures by phase."""

    sent: int
    failed: int
    endpoints_used: int
    p50: tuple[float, ...]
    p99: tuple[float, ...]
    failed_by_phase: tuple[int, ...]

    @staticmethod
    def of(outcome: Outcome, used: int) -> Change:
        windows = outcome.windows[: len(PHASES)]
        return Change(
            sent=outcome.sent,
            failed=sum(outcome.failed.values()),
            endpoints_used=used,
            p50=tuple(window.latency_us["p50"] for window in windows),
            p99=tuple(window.latency_us["p99"] for window in windows),
            failed_by_phase=tuple(window.failed for window in windows),
        )


def report(where: Stage) -> Report:
    repetitions = QUICK_REPETITIONS if where.quick else REPETITIONS
    changes = []
    for number in range(1, repetitions + 1):
        changes.append(change := repetition(number, where))
        where.say(f"{number}: 1 to {MANY} to 1: {change.failed} of {change.sent} calls failed")
    worst = max(change.failed for change in changes)
    return Report(
        title=f"A backend's set from 1 endpoint to {MANY} and back under load, found by DNS",
        head=["phase", "failed, all repetitions", "p50, median of repetitions", "p99"],
        rows=rows(changes),
        verdicts=[Verdict("failed calls, worst repetition", "", "0", str(worst), worst == 0)],
        versions={"Tidegate": Tidegate(where.tidegate).version()},
        options={
            "repetitions": repetitions,
            "calls per second": f"{RATE:,.0f}",
            "connections": CONNECTIONS,
            "name asked every": INTERVAL,
            "seconds per phase": WINDOW,
        },
        raw=[asdict(change) for change in changes],
    )


def rows(changes: list[Change]) -> list[list[str]]:
    """A row for each phase but the warm-up."""
    return [
        [
            phase,
            str(sum(change.failed_by_phase[index] for change in changes)),
            f"{statistics.median(change.p50[index] for change in changes):.0f} us",
            f"{statistics.median(change.p99[index] for change in changes):.0f} us",
        ]
        for index, phase in enumerate(PHASES)
        if index
    ]


def repetition(number: int, where: Stage) -> Change:
    with ExitStack() as stack:
        port, admin, listen = free_port(), free_port(), free_port()
        stack.enter_context(backend(where.backend, port, admin, host="0.0.0.0", cpus=where.load_cpus))
        hosts = [endpoint.rpartition(":")[0] for endpoint in endpoints(MANY, port)]
        names = stack.enter_context(name_server())
        names.put(hosts[:1])
        target = f"dns://{names.address}/{NAME}.:{port}?interval={INTERVAL}"
        folder = where.folder(f"grow-{number}")
        document = gateway_file(listen, {"name": "app", "targets": [target]})
        command = Tidegate(where.tidegate).with_file(folder, document)
        stack.enter_context(listening(command, listen, folder / "log", cpus=where.proxy_cpus))
        load = Load(
            connections=CONNECTIONS,
            rate=RATE,
            requests=int(RATE * WINDOW * len(PHASES)),
            warm_up=10,
            wait=10.0,
            limit=60.0,
            window=WINDOW,
        )
        timers = [
            threading.Timer(GROWS, names.put, (hosts,)),
            threading.Timer(SHRINKS, names.put, (hosts[:1],)),
        ]
        for timer in timers:
            stack.callback(timer.cancel)

        def before(_driver: int) -> None:
            reset(admin)
            for timer in timers:
                timer.start()

        outcome = drive(where.driver, load, listen, cpus=where.load_cpus, before=before)
        if outcome.warm_up_failed:
            raise BenchError(f"{outcome.warm_up_failed} warm-up calls failed")
        served = addresses(admin)
        if len(served) != MANY:
            raise BenchError(f"{len(served)} of {MANY} endpoints served calls")
        proof.counted(outcome, sum(served.values()))
        return Change.of(outcome, len(served))


@dataclass(frozen=True, slots=True)
class Names:
    """The addresses of NAME, which any thread may change."""

    server: NameServer
    loop: asyncio.AbstractEventLoop
    name: str
    ttl: int

    @property
    def address(self) -> str:
        return self.server.address

    def put(self, hosts: list[str]) -> None:
        asyncio.run_coroutine_threadsafe(self._put(hosts), self.loop).result()

    async def _put(self, hosts: list[str]) -> None:
        self.server.put(self.name, "A", *hosts, ttl=self.ttl)


@contextmanager
def name_server(name: str = NAME, ttl: int = 1) -> Iterator[Names]:
    """A name server on a thread of its own; `ttl` seconds of its records."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    server = NameServer()
    try:
        asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result()
        yield Names(server, loop, name, ttl)
        asyncio.run_coroutine_threadsafe(server.__aexit__(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
