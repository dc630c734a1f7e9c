"""Measure one proxy that is already running: `python -m tests.bench.one --pid PID --port PORT`."""

from __future__ import annotations

import argparse
import os
import statistics
from pathlib import Path

from tests.bench import kernel
from tests.bench.errors import BenchError
from tests.bench.load import COUNTED, Load, Outcome, drive, reset, served


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--pid", type=int, required=True, help="the proxy's process; its children count as well")
    parser.add_argument("--port", type=int, required=True, help="where the proxy listens on 127.0.0.1")
    parser.add_argument("--admin", type=int, default=9002, help="the backend's admin port; 0: do not compare counts")
    parser.add_argument("--call", default="echo", choices=tuple(COUNTED))
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--streams", type=int, default=10)
    parser.add_argument("--requests", type=int, default=400_000)
    parser.add_argument("--rate", type=float, help="calls per second: open loop")
    parser.add_argument("--tick", type=float, default=0.0, help="open loop: calls leave at multiples of this, seconds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tokens", type=Path)
    parser.add_argument("--token-change", default="connection", choices=("connection", "request"))
    parser.add_argument("--ca", type=Path)
    parser.add_argument(
        "--pin", action=argparse.BooleanOptionalAction, default=True, help="proxy on CPU 1, driver on 0"
    )
    parser.add_argument("--driver", type=Path, default=Path(os.environ.get("BENCH_DRIVER", "bench-driver")))
    options = parser.parse_args()

    load = Load(
        call=options.call,
        connections=options.connections,
        streams=options.streams,
        requests=options.requests,
        rate=options.rate,
        tick=options.tick,
        threads=options.threads,
        tokens=options.tokens,
        token_change=options.token_change,
        ca=options.ca,
    )
    cpus = None
    if options.pin and (os.cpu_count() or 1) > 1:
        kernel.pin(options.pid, frozenset({1}))
        cpus = frozenset({0})
    figures = []
    for _ in range(options.rounds):
        outcome, used = measure(options, load, cpus)
        if outcome.ok != outcome.sent:
            raise BenchError(f"{outcome.ok} of {outcome.sent} calls were answered correctly: {outcome.failed}")
        if options.admin and (count := served(options.admin)[COUNTED[options.call]]) != outcome.sent:
            raise BenchError(f"the driver sent {outcome.sent} calls, the backend served {count}")
        per_call = used.total * 1e6 / outcome.ok
        figures.append(per_call)
        busy = used.user + used.system
        print(
            f"{per_call:7.3f} us/call  {used.total * 1e6 / (outcome.bytes / 2**20):8.2f} us/MiB  "
            f"user {100 * used.user / busy if busy else 0:3.0f} %  {outcome.per_second:9.0f}/s  "
            f"p50 {outcome.latency_us['p50']:.0f} us  p99 {outcome.latency_us['p99']:.0f} us"
        )
    print(f"{statistics.median(figures):7.3f} us/call  median of {len(figures)}")


def measure(options: argparse.Namespace, load: Load, cpus: frozenset[int] | None) -> tuple[Outcome, kernel.Usage]:
    samples: list[kernel.Usage] = []

    def before(_driver: int) -> None:
        if options.admin:
            reset(options.admin)
        samples.append(kernel.usage(options.pid))

    def after(_driver: int) -> None:
        samples.append(kernel.usage(options.pid))

    outcome = drive(options.driver, load, options.port, cpus=cpus, before=before, after=after)
    return outcome, samples[1] - samples[0]


if __name__ == "__main__":
    main()
