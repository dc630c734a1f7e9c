"""What it costs to pick an endpoint, in instructions, among few and among many: `make bench-picking`.

callgrind counts; it counts the same on every run and under any load. A run with no picks is taken off.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

WEIGHTED = ("round-robin", "least-request", "random")
HASHING = ("ring-hash", "maglev")
KINDS = (
    *((policy, kind) for policy in WEIGHTED for kind in ("plain", "weights", "zones", "slow-start")),
    *((policy, kind) for policy in HASHING for kind in ("plain", "zones", "bound")),
)
"""What core/datapath/examples/pick.rs knows."""
COUNTS = (4, 100, 4096)
PICKS = 20_000
GOAL = 1.2


def main() -> int:
    program = Path(sys.argv[1])
    if shutil.which("valgrind") is None:
        print("skipped: valgrind is not installed (apt-get install valgrind)")
        return 0
    print(f"{'instructions a pick':26}" + "".join(f"{count:>10}" for count in COUNTS) + f"{'most/4':>10}")
    missed = False
    for policy, kind in KINDS:
        costs = [cost(program, policy, kind, count) for count in COUNTS]
        ratio = max(costs) / costs[0]
        missed |= ratio > GOAL
        verdict = "" if ratio <= GOAL else "  more than 20 %"
        name = policy if kind == "plain" else f"{policy}, {kind}"
        print(f"{name:26}" + "".join(f"{one:10.1f}" for one in costs) + f"{ratio:10.2f}{verdict}", flush=True)
    return int(missed)


def cost(program: Path, policy: str, kind: str, endpoints: int) -> float:
    return (count(program, policy, kind, endpoints, PICKS) - count(program, policy, kind, endpoints, 0)) / PICKS


def count(program: Path, policy: str, kind: str, endpoints: int, picks: int) -> int:
    """Instructions of one run."""
    tool = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    command = [*tool, program, policy, kind, endpoints, picks]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if found is None:
        raise RuntimeError(f"callgrind said nothing that could be read: {done.stderr[-300:]}")
    return int(found[1])


if __name__ == "__main__":
    raise SystemExit(main())
