"""One row: every peer proves itself, then they are measured in turn, round after round.

A figure counts only if every response was right (status, `grpc-status: 0`, every byte of the body) and the backend
served exactly the calls that the driver sent. Before that, each peer is started in front of a backend that is dead,
where the driver has to report every call as failed; and where tokens are to be verified, forged ones have to fail.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.bench import h2load, kernel
from tests.bench.certificates import Certificates
from tests.bench.errors import BenchError
from tests.bench.load import Load, Outcome, backend, drive, reset, served
from tests.bench.peers import Peer, Scenario
from tests.bench.process import free_port, listening
from tests.bench.results import Figures, RowResult
from tests.bench.rows import Row
from tests.bench.tokens import Issuer

COUNTED = {"echo": "echo", "feed": "feed", "health-h2": "health", "health-http1": "health"}
CHECK_CALLS = 200
CHECK_SECONDS = 5.0
MOST_CALLS = 50_000_000
LIMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where and with what a run takes place. `proxy_cpus` and `load_cpus` None: the kernel decides."""

    directory: Path
    driver: Path
    backend: Path
    certificates: Certificates
    issuer: Issuer
    descriptors: Path
    rounds: int
    seconds: float
    proxy_cpus: frozenset[int] | None
    load_cpus: frozenset[int] | None
    say: Callable[[str], None]

    def scenario(self, row: Row, peer: Peer, backend_port: int, label: str) -> Scenario:
        directory = self.directory / f"{row.name}-{peer.name}-{label}"
        directory.mkdir(parents=True, exist_ok=True)
        return Scenario(
            kind=row.kind,
            listen=free_port(),
            backend=backend_port,
            directory=directory,
            certificates=self.certificates,
            issuer=self.issuer,
            descriptors=self.descriptors,
        )


@dataclass(frozen=True, slots=True)
class Running:
    peer: Peer
    process: subprocess.Popen[bytes]
    port: int


@dataclass(frozen=True, slots=True)
class Moment:
    """CPU seconds so far: of the proxy, of it and all that belongs to the benchmark, of the machine."""

    time: float
    proxy: float
    benchmark: float
    machine: float

    @staticmethod
    def now(proxy: int, others: tuple[int, ...]) -> Moment:
        machine = kernel.machine_usage()
        try:
            of_proxy = kernel.usage(proxy).total
            of_others = sum(kernel.usage(pid, tree=False).total for pid in others)
        except ProcessLookupError as error:
            raise BenchError(str(error)) from error
        return Moment(time.monotonic(), of_proxy, of_proxy + of_others, machine)

    def disturbance_since(self, start: Moment) -> float:
        """Share of the machine's CPU time since `start` that strangers used."""
        strangers = (self.machine - start.machine) - (self.benchmark - start.benchmark)
        return max(0.0, strangers / ((self.time - start.time) * (os.cpu_count() or 1)))


def run(row: Row, peers: list[Peer], skipped: dict[str, str], place: Place) -> RowResult:
    result = RowResult(row.name, row.title, row.unit, dict(row.goals), dict(row.notes), skipped=dict(skipped))
    load = load_of(row, place)
    tls = place.certificates if row.kind == "tls" else None
    with ExitStack() as stack:
        port, admin = free_port(), free_port()
        server = stack.enter_context(backend(place.backend, port, admin, tls=tls, cpus=place.load_cpus))
        running: list[Running] = []
        for peer in peers:
            figures = result.peers.setdefault(peer.name, Figures())
            try:
                check_dead_backend(row, peer, load, place)
                scenario = place.scenario(row, peer, port, "live")
                process = stack.enter_context(
                    listening(
                        peer.command(scenario), scenario.listen, scenario.directory / "log", cpus=place.proxy_cpus
                    )
                )
                check_forged_tokens(row, peer, load, scenario.listen, place)
                running.append(Running(peer, process, scenario.listen))
            except BenchError as error:
                figures.failed = str(error)
                place.say(f"  {peer.title}: {error}")
        for number in range(1, place.rounds + 1):
            for one in running:
                figures = result.peers[one.peer.name]
                if figures.failed is None:
                    try:
                        measure(row, one, load, (server.pid, admin), figures, place)
                        place.say(f"  round {number}: {one.peer.title} {figures.cpu[-1]:.2f} {row.unit}")
                    except BenchError as error:
                        figures.failed = str(error)
                        place.say(f"  round {number}: {one.peer.title}: {error}")
        if row.confirm and h2load.installed():
            for one in running:
                if result.peers[one.peer.name].failed is None:
                    result.peers[one.peer.name].confirmed = h2load.cpu_per_call(
                        one.process.pid, one.port, load, place.seconds, place.directory, place.load_cpus
                    )
    return result


def load_of(row: Row, place: Place) -> Load:
    tokens = {"none": None, "rs256": place.issuer.rs256, "mixed": place.issuer.mixed}[row.tokens]
    load = dataclasses.replace(
        row.load, tokens=tokens, ca=place.certificates.ca if row.kind == "tls" else None, limit=LIMIT_SECONDS
    )
    if load.rate is not None:
        return dataclasses.replace(load, requests=int(load.rate * place.seconds))
    return dataclasses.replace(load, requests=MOST_CALLS, duration=place.seconds)


def measure(row: Row, one: Running, load: Load, server: tuple[int, int], figures: Figures, place: Place) -> None:
    """Adds one round to `figures`; `server` is the backend's pid and its admin port.

    Raises BenchError if the round does not count.
    """
    served_by, admin = server
    moments: list[Moment] = []

    def sample(driver: int) -> None:
        moments.append(Moment.now(one.process.pid, (driver, served_by, os.getpid())))

    def before(driver: int) -> None:
        reset(admin)
        sample(driver)

    outcome = drive(place.driver, load, one.port, cpus=place.load_cpus, before=before, after=sample)
    require_all_right(outcome)
    start, end = moments
    count = served(admin)[COUNTED[load.call]]
    if count != outcome.sent:
        raise BenchError(f"the driver sent {outcome.sent} calls, the backend served {count}")
    spent = (end.proxy - start.proxy) * 1e6
    figures.cpu.append(spent / (outcome.bytes / 2**20) if row.unit == "us/MiB" else spent / outcome.ok)
    figures.per_second.append(outcome.per_second)
    figures.p50.append(outcome.latency_us["p50"])
    figures.p99.append(outcome.latency_us["p99"])
    figures.disturbance.append(end.disturbance_since(start))
    figures.resident_bytes = max(figures.resident_bytes, kernel.resident_bytes(one.process.pid))


def require_all_right(outcome: Outcome) -> None:
    if outcome.warm_up_failed:
        raise BenchError(f"{outcome.warm_up_failed} warm-up calls failed")
    if outcome.sent == 0 or outcome.ok != outcome.sent:
        raise BenchError(f"{outcome.ok} of {outcome.sent} calls were answered correctly, the others: {outcome.failed}")


def check_dead_backend(row: Row, peer: Peer, load: Load, place: Place) -> None:
    """Raises BenchError unless every call through `peer` to a port where nothing listens is reported as failed."""
    scenario = place.scenario(row, peer, free_port(), "dead")
    with listening(peer.command(scenario), scenario.listen, scenario.directory / "log", cpus=place.proxy_cpus):
        outcome = drive(place.driver, _check_load(load), scenario.listen, cpus=place.load_cpus)
    if outcome.ok or outcome.sent == 0 or sum(outcome.failed.values()) != outcome.sent:
        raise BenchError(f"with a dead backend, the driver reports {outcome.ok} of {outcome.sent} calls as answered")


def check_forged_tokens(row: Row, peer: Peer, load: Load, port: int, place: Place) -> None:
    """Raises BenchError if `peer` lets a token through that was signed with a stranger's key."""
    if row.kind != "jwt" or "jwt" not in peer.kinds or peer.name == "relay":
        return
    forged = dataclasses.replace(_check_load(load), tokens=place.issuer.forged)
    outcome = drive(place.driver, forged, port, cpus=place.load_cpus)
    if outcome.ok:
        raise BenchError(f"{outcome.ok} of {outcome.sent} calls with forged tokens were answered")


def _check_load(load: Load) -> Load:
    return dataclasses.replace(load, requests=CHECK_CALLS, duration=None, rate=None, warm_up=0, limit=CHECK_SECONDS)
