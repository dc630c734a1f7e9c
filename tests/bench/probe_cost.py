"""CPU time of one `tidegate probe`, from the start of the interpreter to its end: `python -m tests.bench.probe_cost`.

Beside it stands what Python itself costs and what a probe that imports grpc would begin with. All are medians, in
milliseconds of the child's user and system time as the kernel counts it.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path

from tests.support.backends import GrpcBackend

ROUNDS = 30
GOAL_MS = 60.0


def cpu_ms(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3


def main() -> int:
    """Prints the table; 1: the probe costs more than the goal."""
    script = Path(sys.executable).with_name("tidegate")
    program = [str(script)] if script.exists() else [sys.executable, "-m", "infra.cli.main"]
    with GrpcBackend() as backend:
        backend.set_serving(True)
        commands = {
            f"{' '.join(program)} probe {backend.address}": [*program, "probe", backend.address],
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -c 'import grpc'": [sys.executable, "-c", "import grpc"],
        }
        costs: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for name, command in commands.items():
                costs[name].append(cpu_ms(command))
    medians = {name: statistics.median(rounds) for name, rounds in costs.items()}
    for name, median in medians.items():
        print(f"{median:7.1f} ms  {name}")
    return int(next(iter(medians.values())) > GOAL_MS)


if __name__ == "__main__":
    sys.exit(main())
