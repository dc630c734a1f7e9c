"""Requests per pod before and after a scale from 1 to 3, for each way to balance: `make bench-balancing`."""

from __future__ import annotations

import asyncio
import statistics
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.load import addresses, backend, reset
from tests.bench.peers.tidegate import Tidegate
from tests.bench.process import free_port
from tests.bench.report import Report
from tests.bench.stage import Stage, stage
from tests.bench.ways.clients import PERIOD, Clients
from tests.bench.ways.shares import Sample, percentages, served_between, time_of_share
from tests.bench.ways.ways import CLIENTS, TTL, WAYS, Pods, Running, Way, beyond_loopback, opened

PODS = 3
START_SECONDS = 30.0
BEFORE_SECONDS = 3.0
SHARE_SECONDS = 2.0
"""Of the load before the scale, and after it, over which shares are taken."""
OBSERVED_SECONDS, QUICK_OBSERVED_SECONDS = 45.0, 12.0
"""After the scale, for ways that do not find the new pods sooner. grpcio asks DNS at most every 30 s."""
SAMPLE_SECONDS = 0.1
HEAD = [
    "way",
    "calls by pod before",
    "after",
    "new pods get their share after",
    "p50",
    "added",
    "connections to the pods",
    "failed",
]
ESTABLISHED = "01"
"""State of a connection in /proc/net/tcp (include/net/tcp_states.h)."""


@dataclass(frozen=True, slots=True)
class Measured:
    """`before` and `after` are calls by pod; `seconds` None: not within the observed time. `p50` in microseconds."""

    name: str
    title: str
    before: tuple[int, ...]
    after: tuple[int, ...]
    seconds: float | None
    p50: float | None
    connections: int
    calls: int
    failed: int


def main() -> None:
    with stage(__doc__) as where:
        observed = QUICK_OBSERVED_SECONDS if where.quick else OBSERVED_SECONDS
        with ExitStack() as stack:
            port, admin = free_port(), free_port()
            pods = Pods(
                same_port=tuple(f"127.2.0.{number}:{port}" for number in range(1, PODS + 1)),
                same_host=beyond_loopback(PODS),
            )
            stack.enter_context(backend(where.backend, port, admin, host="0.0.0.0", also=pods.same_host))
            skipped = {way: reason for way in WAYS if (reason := way.missing(pods)) is not None}
            measured = [asyncio.run(measure(way, where, pods, admin, observed)) for way in WAYS if way not in skipped]
        direct = next(one.p50 for one in measured if one.name == "direct")
        report = Report(
            title="Calls by pod before and after a scale from 1 pod to 3",
            head=HEAD,
            rows=[row(one, direct, observed) for one in measured],
            notes=[f"Not measured: {way.title}: {reason}." for way, reason in skipped.items()],
            versions={"Tidegate": Tidegate(where.tidegate).version()},
            options={
                "clients": CLIENTS,
                "calls per second and client at most": f"{1 / PERIOD:.0f}",
                "TTL of DNS": f"{TTL} s",
                "observed after the scale": f"{observed:g} s",
            },
            raw=[asdict(one) for one in measured],
        )
        where.keep("balancing", report)


def row(one: Measured, direct: float | None, observed: float) -> list[str]:
    added = "-" if one.p50 is None or direct is None or one.name == "direct" else f"{one.p50 - direct:+.0f} us"
    after = f"not within {observed:g} s" if one.seconds is None else f"{one.seconds:.1f} s"
    return [
        one.title,
        percentages(one.before),
        percentages(one.after),
        "-" if one.name == "direct" else after,
        f"{one.p50:.0f} us" if one.p50 is not None else "-",
        added,
        str(one.connections),
        f"{one.failed} of {one.calls:,}",
    ]


async def measure(way: Way, where: Stage, pods: Pods, admin: int, observed: float) -> Measured:
    await asyncio.to_thread(reset, admin)
    with ExitStack() as stack:
        running = await asyncio.to_thread(stack.enter_context, opened(way, where, pods))
        async with Clients(running.targets, running.round_robin) as clients:
            async with asyncio.timeout(START_SECONDS):
                await clients.calling.wait()
            clients.latencies.clear()
            clients.failed.clear()
            first = await _sample(admin, running)
            await asyncio.sleep(BEFORE_SECONDS - SHARE_SECONDS)
            start = await _sample(admin, running)
            await asyncio.sleep(SHARE_SECONDS)
            samples = [await _sample(admin, running)]
            before = served_between(start, samples[0], running.pods)
            await asyncio.to_thread(running.scale, PODS)
            scaled = time.monotonic()
            if way.name != "direct":
                await _observe(samples, admin, running, scaled, observed)
            start = await _sample(admin, running)
            await asyncio.sleep(SHARE_SECONDS)
            end = await _sample(admin, running)
            connections = await asyncio.to_thread(connections_to, running.pods)
        seconds = time_of_share(samples, running.pods, scaled) if way.name != "direct" else None
        calls = sum(served_between(first, end, running.pods))
    measured = Measured(
        name=way.name,
        title=way.title,
        before=before,
        after=served_between(start, end, running.pods),
        seconds=seconds,
        p50=statistics.median(clients.latencies) * 1e6 if way.latency else None,
        connections=connections,
        calls=calls,
        failed=len(clients.failed),
    )
    where.say(f"{way.name}: {percentages(measured.before)} -> {percentages(measured.after)}, {measured.seconds}")
    for failure in clients.failed[:3]:
        where.say(f"  {failure}")
    return measured


async def _observe(samples: list[Sample], admin: int, running: Running, scaled: float, observed: float) -> None:
    """Adds samples until the new pods have their share, or `observed` seconds are over."""
    while time.monotonic() < scaled + observed:
        await asyncio.sleep(SAMPLE_SECONDS)
        samples.append(await _sample(admin, running))
        if time_of_share(samples, running.pods, scaled) is not None:
            return


async def _sample(admin: int, running: Running) -> Sample:
    served = await asyncio.to_thread(addresses, admin)
    return Sample(time.monotonic(), {pod: served.get(pod, 0) for pod in running.pods})


def connections_to(pods: tuple[str, ...]) -> int:
    """Connections that the pods have now."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    local = [_address(fields[1]) for fields in lines if fields[3] == ESTABLISHED]
    return sum(address in pods for address in local)


def _address(coded: str) -> str:
    """`host:port` of the kernel's hexadecimal spelling, whose address has the machine's byte order (proc_net_tcp)."""
    host, _, port = coded.partition(":")
    octets = reversed(bytes.fromhex(host))
    return f"{'.'.join(map(str, octets))}:{int(port, 16)}"


if __name__ == "__main__":
    main()
