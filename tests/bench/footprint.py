"""Time from start to the first served call, and memory: idle, and with many idle connections."""

from __future__ import annotations

import subprocess
import time

from tests.bench import kernel, proof
from tests.bench.errors import BenchError
from tests.bench.load import Load, backend, drive
from tests.bench.peers import Peer
from tests.bench.place import Place
from tests.bench.process import affinity, free_port, stop
from tests.bench.results import Footprint
from tests.bench.rows import Row

CONNECTIONS = 10_000
SPARE_DESCRIPTORS = 500
SETTLE_SECONDS = 1.0
START_LIMIT_SECONDS = 20.0

ROW = Row(name="footprint", title="footprint", load=Load(), peers=("tidegate", "envoy", "nghttpx", "nginx"), goals={})


def measure(peer: Peer, descriptor_limit: int, place: Place) -> Footprint:
    """`descriptor_limit` of open files per process caps the connections."""
    made = Footprint(connections=min(CONNECTIONS, descriptor_limit - SPARE_DESCRIPTORS))
    port, admin = free_port(), free_port()
    with backend(place.backend, port, admin, cpus=place.load_cpus):
        scenario = place.scenario(ROW, peer, port, "live")
        command = peer.command(scenario)
        started = time.monotonic()
        with (scenario.directory / "log").open("wb") as log, affinity(place.proxy_cpus):
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, process_group=0
            )
        try:
            first = Load(connections=1, streams=1, requests=1, warm_up=0, wait=START_LIMIT_SECONDS)
            ready: list[float] = []
            outcome = drive(
                place.driver,
                first,
                scenario.listen,
                cpus=place.load_cpus,
                before=lambda _driver: ready.append(time.monotonic()),
            )
            proof.all_right(outcome)
            made.start_seconds = ready[0] - started
            time.sleep(SETTLE_SECONDS)
            made.idle_bytes = kernel.resident_bytes(process.pid)
            resident: list[int] = []
            outcome = drive(
                place.driver,
                Load(connections=made.connections, streams=1, requests=1, warm_up=1),
                scenario.listen,
                cpus=place.load_cpus,
                after=lambda _driver: resident.append(kernel.resident_bytes(process.pid)),
            )
            proof.all_right(outcome)
            made.connected_bytes = resident[0]
        except BenchError as error:
            made.failed = str(error)
        finally:
            stop(process)
    return made
