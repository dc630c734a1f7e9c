"""Everything at once for a while; then nothing of it is left: no stream, no connection, no byte, no descriptor."""

from __future__ import annotations

import os
import random
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.soak import disturbances
from tests.soak.backends import BackendProcess, FaultyBackend
from tests.soak.core import CoreProcess
from tests.soak.disturbances import Disturber
from tests.soak.grpc_clients import GrpcClient, answers
from tests.soak.http1_clients import Http1Client
from tests.soak.raw_clients import RawClient
from tests.soak.snapshot import BACKEND, LISTENER, snapshot
from tests.soak.tally import Tally
from tests.support.waiting import wait_for

pytest.importorskip("tidegate_core", reason="the native module is not built")

SEED = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(2**32))
SECONDS = float(os.environ.get("SOAK_SECONDS") or 120)
CLIENTS = (GrpcClient, GrpcClient, GrpcClient, Http1Client, Http1Client)
HONEST = ("grpc unary", "grpc server stream", "grpc client stream", "grpc bidi", "http/1.1")
GROWTH = 1.3
"""How much more memory the last third of a soak may take than the first; allocators never give back all of it."""
SPARE_BYTES = 16 << 20
CALM_CALLS = 30


def test_ten_seconds_leave_nothing_behind() -> None:
    # Memory is still being taken for the first time: that it does not grow is for the long one to see.
    soak(10, growth=None)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_soak() -> None:
    soak(SECONDS, growth=GROWTH)


def soak(seconds: float, growth: float | None) -> None:
    print(f"\nSOAK_SEED={SEED}, {seconds:g} s")
    seeds = random.Random(SEED)
    tally = Tally()
    with (
        CoreProcess() as core,
        BackendProcess() as a,
        BackendProcess() as b,
        FaultyBackend(seeds.randrange(2**32)) as faulty,
    ):
        core.apply(snapshot("first", []))
        files = core.open_files()
        address = core.address(LISTENER)
        core.set_endpoints(BACKEND, [a.address, b.address])
        stop, calm = threading.Event(), threading.Event()
        clients = [kind(address, seeds.randrange(2**32), tally, stop) for kind in CLIENTS]
        raw = [RawClient(address, seeds.randrange(2**32), tally, stop) for _ in range(2)]
        disturber = Disturber(core, [a, b], faulty, seeds.randrange(2**32), tally, calm)
        actors = (*clients, *raw, disturber)
        with ThreadPoolExecutor(len(actors)) as threads:
            try:
                running = [threads.submit(actor.run) for actor in actors]
                sizes = sample(core, seconds)
                wait_for("each thing to happen", lambda: everything_happened(tally))
                calm.set()
                running.pop().result(60)
                recover(core, [a.address, b.address], address)
            finally:
                calm.set()
                stop.set()
            for actor in running:
                actor.result(60)
        assert core.total("counters", "worker_failures_total") == 0, core.complaints()
        assert core.every_worker_answers(), "a worker is dead or stuck"
        try:
            leave_nothing(core, files)
        finally:
            print(f"{tally.table()}\n  {counters(core)}\n  {memory(sizes)}")
            for connection in (connection for client in raw for connection in client.abandoned):
                connection.close()
    assert tally.wrong == []
    if growth is not None:
        first, last = thirds(sizes)
        assert last <= first * growth + SPARE_BYTES, memory(sizes)


def everything_happened(tally: Tally) -> bool:
    return all(tally.of(who) for who in HONEST) and all(tally.of(disturbances.WHO, what) for what in disturbances.KINDS)


def sample(core: CoreProcess, seconds: float) -> list[int]:
    """Resident bytes, taken sixty times while the others are busy."""
    end = time.monotonic() + seconds
    sizes = []
    while time.monotonic() < end:
        sizes.append(core.resident_bytes())
        time.sleep(seconds / 60)
    return sizes


def recover(core: CoreProcess, backends: list[str], address: tuple[str, int]) -> None:
    """Once nothing disturbs any more, every call succeeds, though the rude clients are still there."""
    core.set_endpoints(BACKEND, backends)
    wait_for("the first answer", lambda: answers(address))
    failed = sum(not answers(address) for _ in range(CALM_CALLS))
    assert failed == 0, f"{failed} of {CALM_CALLS} calls failed with healthy backends"


def leave_nothing(core: CoreProcess, files: list[str]) -> None:
    """The clients are gone, but for those that hold their connections in silence."""
    wait_for("the last stream", lambda: core.active_streams() == 0)
    wait_for("the last connection", lambda: core.active_connections() == 0)
    assert core.total("gauges", "buffered_bytes") == 0, "bytes are held for nobody"
    core.apply(snapshot("last", []))
    try:
        wait_for("the descriptors", lambda: len(core.open_files()) == len(files))
    except AssertionError:
        pytest.fail(f"open at first: {files}\nopen at last: {core.open_files()}\n{core.status()}")
    for opened, closed in (
        ("connections_accepted_total", "connections_closed_total"),
        ("upstream_connections_total", "upstream_connections_closed_total"),
    ):
        assert core.total("counters", opened) == core.total("counters", closed), (opened, closed)


def thirds(sizes: list[int]) -> tuple[float, float]:
    third = len(sizes) // 3
    return statistics.median(sizes[:third]), statistics.median(sizes[-third:])


def memory(sizes: list[int]) -> str:
    first, last = thirds(sizes)
    most = max(sizes)
    sizes_of_thirds = f"{first / 2**20:.1f} MiB in the first third, {last / 2**20:.1f} in the last"
    return f"resident: {sizes_of_thirds}, {most / 2**20:.1f} at most"


def counters(core: CoreProcess) -> str:
    names = (
        "connections_accepted_total",
        "upstream_connections_total",
        "retries_total",
        "protocol_errors_total",
        "floods_total",
        "stream_errors_total",
    )
    return ", ".join(f"{name.removesuffix('_total')} {core.total('counters', name)}" for name in names)
