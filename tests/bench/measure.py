"""One row: every peer proves itself, then they are measured in turn, round after round.

A figure counts only if every response was right (status, `grpc-status: 0`, every byte of the body) and the backend
served exactly the calls that the driver sent. Before that, each peer is started in front of a backend that is dead,
where the driver has to report every call as failed; and where tokens are to be verified, forged ones have to fail.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass

from tests.bench import h2load, kernel, proof
from tests.bench.errors import BenchError
from tests.bench.load import COUNTED, Load, addresses, backend, drive, reset, served
from tests.bench.moment import Moment
from tests.bench.peers import Peer
from tests.bench.place import Place
from tests.bench.process import free_port, listening
from tests.bench.results import Figures, RowResult
from tests.bench.rows import Row

MOST_CALLS = 50_000_000
LIMIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Running:
    """A proxy that takes part, and where its figures go."""

    peer: Peer
    process: subprocess.Popen[bytes]
    port: int
    load: Load
    figures: Figures


@dataclass(frozen=True, slots=True)
class Server:
    """The row's backend."""

    pid: int
    port: int
    admin: int


def run(row: Row, peers: list[Peer], skipped: dict[str, str], place: Place) -> RowResult:
    """Measures `peers` in `row`. What goes wrong with one of them is in its figures, and the others go on."""
    result = RowResult(row.name, row.title, row.unit, dict(row.goals), dict(row.notes), skipped=dict(skipped))
    tls = place.certificates if row.kind == "tls" else None
    with ExitStack() as stack:
        port, admin = free_port(), free_port()
        host = "0.0.0.0" if row.kind == "spread" else "127.0.0.1"
        process = stack.enter_context(backend(place.backend, port, admin, host=host, tls=tls, cpus=place.load_cpus))
        server = Server(process.pid, port, admin)
        running: list[Running] = []
        for peer in peers:
            figures = result.peers.setdefault(peer.name, Figures())
            try:
                running.append(bring_up(row, peer, load_of(row, peer, place), server, figures, place, stack))
            except BenchError as error:
                figures.failed = str(error)
                place.say(f"  {peer.title}: {error}")
        for number in range(1, place.rounds + 1):
            for one in running:
                if one.figures.failed is None:
                    place.say(f"  round {number}: {one.peer.title} {measure(row, one, server, place)}")
        if row.confirm and h2load.installed():
            for one in running:
                if one.figures.failed is None:
                    one.figures.confirmed = h2load.cpu_per_call(one.process.pid, one.port, one.load, place)
    return result


def load_of(row: Row, peer: Peer, place: Place) -> Load:
    tokens = {"none": None, "rs256": place.issuer.rs256, "mixed": place.issuer.mixed}[row.tokens]
    authority = place.certificates.ca if row.kind == "tls" else None
    load = dataclasses.replace(row.load_of(peer.name), tokens=tokens, ca=authority, limit=LIMIT_SECONDS)
    if load.rate is not None:
        return dataclasses.replace(load, requests=int(load.rate * place.seconds))
    return dataclasses.replace(load, requests=MOST_CALLS, duration=place.seconds)


def bring_up(
    row: Row, peer: Peer, load: Load, server: Server, figures: Figures, place: Place, stack: ExitStack
) -> Running:
    """`peer`, proven and running until `stack` closes. Raises BenchError if it does not start or is fooled."""
    proof.dead_backend_fails(row, peer, load, place)
    scenario = place.scenario(row, peer, server.port, "live")
    process = stack.enter_context(
        listening(peer.command(scenario), scenario.listen, scenario.directory / "log", cpus=place.proxy_cpus)
    )
    proof.forged_tokens_fail(row, peer, load, scenario.listen, place)
    return Running(peer, process, scenario.listen, load, figures)


def measure(row: Row, one: Running, server: Server, place: Place) -> str:
    """Adds a round to the figures of `one`, or notes why it does not count; what to say of it."""
    try:
        cpu = _measure(row, one, server, place)
    except BenchError as error:
        one.figures.failed = str(error)
        return str(error)
    return f"{cpu:.2f} {row.unit}"


def _measure(row: Row, one: Running, server: Server, place: Place) -> float:
    load = one.load
    moments: list[Moment] = []

    def sample(driver: int) -> None:
        moments.append(Moment.now(one.process.pid, (driver, server.pid, os.getpid())))

    def before(driver: int) -> None:
        reset(server.admin)
        sample(driver)

    outcome = drive(place.driver, load, one.port, cpus=place.load_cpus, before=before, after=sample)
    proof.all_right(outcome)
    count = served(server.admin)[COUNTED[load.call]]
    if count != outcome.sent:
        raise BenchError(f"the driver sent {outcome.sent} calls, the backend served {count}")
    if row.kind == "spread":
        proof.all_took_part(addresses(server.admin), row.endpoints)
    start, end = moments
    spent = (end.proxy - start.proxy) * 1e6
    cpu = spent / (outcome.bytes / 2**20) if row.unit == "us/MiB" else spent / outcome.ok
    figures = one.figures
    figures.cpu.append(cpu)
    figures.per_second.append(outcome.per_second)
    figures.p50.append(outcome.latency_us["p50"])
    figures.p99.append(outcome.latency_us["p99"])
    figures.disturbance.append(end.disturbance_since(start))
    figures.resident_bytes = max(figures.resident_bytes, kernel.resident_bytes(one.process.pid))
    return cpu
