"""What the kernel says a process has used.

CPU time is read from the process's own POSIX clock: nanoseconds over all its threads, those that have ended included,
where `/proc/PID/stat` counts in ticks of 10 ms and `/proc/PID/task/*/schedstat` forgets ended threads.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

# include/linux/posix-timers.h: the low bits of a process clock's number say which of the three CPU times is meant.
CPUCLOCK_SCHED = 2


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds of CPU of a process tree; `user` and `system` are of tick resolution, `total` is exact."""

    total: float
    user: float
    system: float

    def __sub__(self, earlier: Usage) -> Usage:
        return Usage(self.total - earlier.total, self.user - earlier.user, self.system - earlier.system)


def descendants(pid: int) -> tuple[int, ...]:
    """`pid` and every process below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = int(_after_name(entry)[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for process in found:
        found.extend(children.get(process, ()))
    return tuple(found)


def _after_name(process: Path) -> list[str]:
    """Fields of `stat` from `state` (proc(5) field 3) on; the name before may hold spaces."""
    return (process / "stat").read_text().rpartition(")")[2].split()


def usage(pid: int, *, tree: bool = True) -> Usage:
    """CPU time of `pid` and, with `tree`, of every process below it. Raises ProcessLookupError if `pid` has ended."""
    if not Path(f"/proc/{pid}").exists():
        raise ProcessLookupError(f"process {pid} has ended")
    tick = os.sysconf("SC_CLK_TCK")
    total = user = system = 0.0
    for process in descendants(pid) if tree else (pid,):
        try:
            total += time.clock_gettime((~process << 3) | CPUCLOCK_SCHED)
            fields = _after_name(Path(f"/proc/{process}"))
        except OSError:
            continue
        user += int(fields[11]) / tick
        system += int(fields[12]) / tick
    return Usage(total, user, system)


def main_and_other_threads(pid: int) -> tuple[float, float]:
    """CPU seconds of a process's main thread, and of its other threads that live (`/proc/PID/task/*/schedstat`)."""
    main = others = 0.0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            seconds = int((task / "schedstat").read_text().split()[0]) / 1e9
        except OSError:
            continue
        if task.name == str(pid):
            main = seconds
        else:
            others += seconds
    return main, others


def machine_usage() -> float:
    """CPU seconds that the whole machine has used since it started, time stolen by the hypervisor included."""
    ticks = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    _user, _nice, _system, idle, iowait, *_rest = ticks
    return (sum(ticks) - idle - iowait) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Resident memory (RSS) of the process tree; pages shared by its processes count once for each."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for process in descendants(pid):
        try:
            total += int(Path(f"/proc/{process}/statm").read_text().split()[1]) * page
        except OSError:
            continue
    return total


def pin(pid: int, cpus: frozenset[int]) -> None:
    """Bind every thread of the process tree to `cpus`; threads started later inherit it."""
    for process in descendants(pid):
        for task in Path(f"/proc/{process}/task").glob("*"):
            try:
                os.sched_setaffinity(int(task.name), cpus)
            except ProcessLookupError:
                continue
