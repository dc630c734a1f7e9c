"""10,000 endpoints in etcd of which 1,000 a second change, beside the same load while as many others change.

etcd and who writes to it share a CPU with the driver and the backend, and that alone moves the driver's p99. So the
rounds without changes have the same writing as the others, of keys that the gateway does not watch.
"""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import statistics
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench import kernel, proof
from tests.bench.errors import BenchError
from tests.bench.goals import Verdict
from tests.bench.load import Load, addresses, backend, drive, reset
from tests.bench.peers.tidegate import Tidegate, gateway_file
from tests.bench.place import endpoints
from tests.bench.process import affinity, free_port, listening
from tests.bench.report import Report
from tests.bench.stage import Stage
from tests.project.real_parts import find
from tests.registries.parts import EtcdServer

ENDPOINTS = 10_000
SPARE = 500
"""Endpoints that are not in the set: one that comes has been away for as long as all of these take."""
CHANGES_PER_SECOND = 1000
AT_ONCE = 10
"""Changes in one transaction of etcd."""
RATE = 4000.0
CONNECTIONS = 16
SECONDS, QUICK_SECONDS = 8.0, 4.0
ROUNDS, QUICK_ROUNDS = 3, 1
PREFIX = "bench/app"
ASIDE = "bench/aside"
"""Nobody watches it."""
MOST_OPERATIONS = 100
"""Of a transaction; etcd's own limit is 128."""
UNMOVED = 1.1
"""The highest ratio of the two p99 that counts as unmoved."""
DESCRIPTORS = 15_000


@dataclass(frozen=True, slots=True)
class Round:
    """Latencies in microseconds; `python` and `core` are CPU seconds per second of the gateway's main thread, where all
    its Python runs, and of its other threads."""

    changing: bool
    sent: int
    failed: int
    p50: float
    p99: float
    changes_per_second: float
    python: float
    core: float


def missing(where: Stage) -> str | None:
    """Why this cannot be measured here, or None."""
    if find("etcd") is None:
        return "etcd is not installed (Debian etcd-server)"
    if where.descriptors < DESCRIPTORS:
        return f"a process may open {where.descriptors} files only, {DESCRIPTORS} are needed"
    return None


def report(where: Stage) -> Report:
    rounds = list(measure(where))
    quiet, changing = ([one for one in rounds if one.changing is kind] for kind in (False, True))
    ratio = middle(changing, "p99") / middle(quiet, "p99")
    failed = sum(one.failed for one in rounds)
    return Report(
        title=f"{ENDPOINTS:,} endpoints, {CHANGES_PER_SECOND:,} changes a second in etcd: of these, or of others",
        head=["", "failed", "p50", "p99", "changes a second", "CPU of Python", "CPU of the workers"],
        rows=[row("others change", quiet), row("these change", changing)],
        verdicts=[
            Verdict("failed calls", "", "0", str(failed), failed == 0),
            Verdict("p99 while these change", "while others do", f"<= {UNMOVED:g}", f"{ratio:.2f}", ratio <= UNMOVED),
        ],
        notes=["A changed endpoint left the set or came into it; the first call to one that came opens a connection."],
        versions={"Tidegate": Tidegate(where.tidegate).version()},
        options={
            "rounds": len(quiet),
            "calls per second": f"{RATE:,.0f}",
            "connections": CONNECTIONS,
            "changes in a transaction": AT_ONCE,
        },
        raw=[asdict(one) for one in rounds],
    )


def row(title: str, rounds: list[Round]) -> list[str]:
    return [
        title,
        str(sum(one.failed for one in rounds)),
        f"{middle(rounds, 'p50'):.0f} us",
        f"{middle(rounds, 'p99'):.0f} us",
        f"{middle(rounds, 'changes_per_second'):,.0f}",
        f"{middle(rounds, 'python'):.0%} of a core",
        f"{middle(rounds, 'core'):.0%} of a core",
    ]


def middle(rounds: list[Round], name: str) -> float:
    values: list[float] = [getattr(one, name) for one in rounds]
    return statistics.median(values)


def measure(where: Stage) -> Iterator[Round]:
    """Rounds with and without changes in turn, through one gateway."""
    with ExitStack() as stack:
        port, admin, listen = free_port(), free_port(), free_port()
        stack.enter_context(backend(where.backend, port, admin, host="0.0.0.0", cpus=where.load_cpus))
        with affinity(where.load_cpus):
            etcd = stack.enter_context(EtcdServer(where.folder("etcd"), ("--unsafe-no-fsync",)))
        places = endpoints(ENDPOINTS + SPARE, port)
        registry, aside = (Registry(etcd.address, prefix, places) for prefix in (PREFIX, ASIDE))
        for filled in (registry, aside):
            stack.callback(filled.close)
            filled.fill(ENDPOINTS)
        folder = where.folder("churn")
        app = {"name": "app", "targets": [f"etcd:///{PREFIX}?endpoints={etcd.address}"]}
        document = gateway_file(listen, app)
        command = Tidegate(where.tidegate).with_file(folder, document)
        process = stack.enter_context(listening(command, listen, folder / "log", cpus=where.proxy_cpus))
        await_endpoints(document["spec"]["admin"]["port"])
        for number, changing in itertools.product(range(ROUNDS if not where.quick else QUICK_ROUNDS), (False, True)):
            one = measure_round(where, process.pid, listen, admin, registry if changing else aside, changing)
            where.say(f"{number + 1}: {'changes' if changing else 'quiet'}: {one.failed} failed, p99 {one.p99:.0f} us")
            yield one


def measure_round(where: Stage, pid: int, listen: int, admin: int, registry: Registry, changing: bool) -> Round:
    seconds = QUICK_SECONDS if where.quick else SECONDS
    load = Load(
        connections=CONNECTIONS,
        rate=RATE,
        requests=int(RATE * seconds),
        warm_up=ENDPOINTS // CONNECTIONS + 50,
        wait=30.0,
        limit=90.0,
    )
    moments: list[tuple[float, float, float]] = []
    with ExitStack() as changes:

        def before(_driver: int) -> None:
            reset(admin)
            moments.append((time.monotonic(), *kernel.main_and_other_threads(pid)))
            changes.enter_context(registry.changing())

        def after(_driver: int) -> None:
            moments.append((time.monotonic(), *kernel.main_and_other_threads(pid)))

        made_before = registry.made
        outcome = drive(where.driver, load, listen, cpus=where.load_cpus, before=before, after=after)
        made = registry.made - made_before
    if outcome.warm_up_failed:
        raise BenchError(f"{outcome.warm_up_failed} warm-up calls failed")
    served = addresses(admin)
    proof.counted(outcome, sum(served.values()))
    (began, python, core), (ended, python_after, core_after) = moments
    elapsed = ended - began
    return Round(
        changing=changing,
        sent=outcome.sent,
        failed=sum(outcome.failed.values()),
        p50=outcome.latency_us["p50"],
        p99=outcome.latency_us["p99"],
        changes_per_second=made / elapsed,
        python=(python_after - python) / elapsed,
        core=(core_after - core) / elapsed,
    )


def await_endpoints(admin: int) -> None:
    """Waits until the gateway has all endpoints. BenchError: it never gets them."""
    deadline = time.monotonic() + 30
    found = 0
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=10)
        connection.request("GET", "/clusters")
        found = len(json.load(connection.getresponse())[0]["endpoints"])
        connection.close()
        if found == ENDPOINTS:
            return
        time.sleep(0.2)
    raise BenchError(f"the gateway found {found} of {ENDPOINTS} endpoints")


class Registry:
    """The set of endpoints in etcd, some of them there and some spare. One thread changes it at a time."""

    def __init__(self, etcd: str, prefix: str, places: tuple[str, ...]) -> None:
        self._prefix = prefix
        self._connection = http.client.HTTPConnection(etcd, timeout=30)
        self._there: deque[str] = deque()
        self._spare = deque(places)
        self.made = 0

    def fill(self, count: int) -> None:
        """Puts so many of the spare endpoints into the set."""
        for start in range(0, count, MOST_OPERATIONS):
            self._commit([self._come() for _ in range(min(MOST_OPERATIONS, count - start))])

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Meanwhile CHANGES_PER_SECOND endpoints come and go, one for one."""
        over = threading.Event()
        thread = threading.Thread(target=self._change, args=(over,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def close(self) -> None:
        self._connection.close()

    def _change(self, over: threading.Event) -> None:
        period = AT_ONCE / CHANGES_PER_SECOND
        due = time.monotonic()
        while not over.wait(max(0.0, due - time.monotonic())):
            due += period
            operations = [operation for _ in range(AT_ONCE // 2) for operation in (self._go(), self._come())]
            self._commit(operations)
            self.made += len(operations)

    def _come(self) -> dict[str, Any]:
        place = self._spare.popleft()
        self._there.append(place)
        value = json.dumps({"Op": 0, "Addr": place})
        return {"request_put": {"key": _coded(f"{self._prefix}/{place}"), "value": _coded(value)}}

    def _go(self) -> dict[str, Any]:
        place = self._there.popleft()
        self._spare.append(place)
        return {"request_delete_range": {"key": _coded(f"{self._prefix}/{place}")}}

    def _commit(self, operations: list[dict[str, Any]]) -> None:
        self._connection.request("POST", "/v3/kv/txn", json.dumps({"success": operations}))
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise BenchError(f"etcd refused a transaction: {body.decode(errors='replace')[:200]}")


def _coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
