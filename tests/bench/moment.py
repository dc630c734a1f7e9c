"""A moment of the run: who has used how much CPU time so far."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from tests.bench import kernel
from tests.bench.errors import BenchError


@dataclass(frozen=True, slots=True)
class Moment:
    """CPU seconds so far: of the proxy, of it and all that belongs to the benchmark, of the whole machine."""

    time: float
    proxy: float
    benchmark: float
    machine: float

    @staticmethod
    def now(proxy: int, others: tuple[int, ...]) -> Moment:
        """`proxy` counts with its children, `others` are the benchmark's own processes. BenchError if one has ended."""
        machine = kernel.machine_usage()
        try:
            of_proxy = kernel.usage(proxy).total
            of_others = sum(kernel.usage(pid, tree=False).total for pid in others)
        except ProcessLookupError as error:
            raise BenchError(str(error)) from error
        return Moment(time.monotonic(), of_proxy, of_proxy + of_others, machine)

    def disturbance_since(self, start: Moment) -> float:
        """Share of the machine's CPU time since `start` that processes outside the benchmark used."""
        strangers = (self.machine - start.machine) - (self.benchmark - start.benchmark)
        return max(0.0, strangers / ((self.time - start.time) * (os.cpu_count() or 1)))
