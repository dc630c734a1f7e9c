"""What a neighbour of a thousand stalled clients loses: calls a second, and the gateway's CPU for each of them.

`make bench-stalled`. Rounds with and without the stalled clients take turns, through one connection to the backend.
The neighbour and the backend are Python in one process, and set the pace; the CPU is the gateway's own.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.process import raise_descriptor_limit
from tests.gateway.backends import SERVICE, Backend, Client
from tests.gateway.core import MAIN, document, until
from tests.soak.core import CoreProcess
from tests.support.stalled import StalledClients

STALLED = 1000
ROUNDS = 5
SECONDS = 3.0
CONCURRENT = 16
MESSAGE = 63 << 10
METADATA = [("count", "261")]
BODY = bytes(100)
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Round:
    """`microseconds` of the gateway's CPU for each call."""

    calls_per_second: float
    microseconds: float


async def main() -> None:
    """Prints the medians of all rounds."""
    raise_descriptor_limit()
    alone: list[Round] = []
    beside: list[Round] = []
    async with Backend() as backend:
        with CoreProcess(workers=1) as core:
            core.apply(document(backend.address))
            address = ":".join(map(str, core.address(MAIN)))
            async with Client(address) as client:
                await measure(client, core)
                for _ in range(ROUNDS):
                    alone.append(await measure(client, core))
                    before = len(backend.calls)
                    with StalledClients(address, f"/{SERVICE}/Repeat", bytes(MESSAGE), METADATA, STALLED, deaf=0):
                        await until("the calls", lambda before=before: len(backend.calls) == before + STALLED, 60)
                        await settled(core)
                        beside.append(await measure(client, core))
                    await until("the end of all streams", lambda: core.active_streams() == 0, 60)
                assert core.total("counters", "upstream_connections_total") == 1
    for what, rounds in (("alone", alone), (f"beside {STALLED} stalled", beside)):
        rates = sorted(one.calls_per_second for one in rounds)
        spread = f"{rates[0]:.0f} to {rates[-1]:.0f}"
        cpu = statistics.median(one.microseconds for one in rounds)
        print(f"{what:<20} {statistics.median(rates):8.0f} calls/s ({spread}), {cpu:.1f} us of CPU each")


async def settled(core: CoreProcess) -> None:
    """Waits until the stalled ones have all that they get."""
    before = -1
    while (now := core.total("gauges", "buffered_bytes")) != before or now == 0:
        before = now
        await asyncio.sleep(0.5)


async def measure(client: Client, core: CoreProcess) -> Round:
    """Calls without a pause; every answer is checked."""
    end = time.monotonic() + SECONDS
    calls = 0

    async def call() -> None:
        nonlocal calls
        while time.monotonic() < end:
            assert await client.unary(BODY, timeout=60) == BODY
            calls += 1

    began, used = time.monotonic(), cpu_seconds(core.pid)
    await asyncio.gather(*(call() for _ in range(CONCURRENT)))
    return Round(calls / (time.monotonic() - began), (cpu_seconds(core.pid) - used) / calls * 1e6)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


if __name__ == "__main__":
    asyncio.run(main())
