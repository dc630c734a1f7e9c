"""How many workers suit the machine: the processors that this process may really use.

A container's quota is not visible in the number of processors: with a limit of 500m on a machine of 64, 64 workers
would be throttled most of the time. So the cgroup's quota counts, version 1 and 2, and of nested cgroups the tightest.

Sources: cgroups(7), proc_pid_mountinfo(5), the kernel's cgroup-v2.rst (`cpu.max`) and sched-bwc.rst
(`cpu.cfs_quota_us`).
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath


def default_workers() -> int:
    """The number of workers for this process: at least 1."""
    return workers(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def workers(affinity: int, root: Path = Path("/")) -> int:
    """The least of `affinity` and the quota found in the file tree at `root`, rounded up, at least 1."""
    return max(1, math.ceil(min([float(affinity), *quotas(root)])))


def quotas(root: Path) -> list[float]:
    """Every quota that this process is subject to, in processors. Files that are absent or unreadable limit nothing."""
    memberships = _memberships(_text(root / "proc/self/cgroup"))
    found: list[float | None] = []
    for mount in _mounts(_text(root / "proc/self/mountinfo")):
        for directory in mount.directories(memberships.get(mount.controller)):
            folder = root / directory.lstrip("/")
            if mount.controller == "":
                found.append(quota_v2(_text(folder / "cpu.max")))
            else:
                found.append(quota_v1(_text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")))
    return [quota for quota in found if quota is not None]


def quota_v2(cpu_max: str) -> float | None:
    """Reads `cpu.max`, `max 100000` or `50000 100000`: None is no limit."""
    words = cpu_max.split()
    return _ratio(words[0], words[1]) if len(words) == 2 else None


def quota_v1(quota: str, period: str) -> float | None:
    """Reads `cpu.cfs_quota_us` (-1: no limit) and `cpu.cfs_period_us`."""
    return _ratio(quota.strip(), period.strip())


def _ratio(quota: str, period: str) -> float | None:
    try:
        microseconds, of = int(quota), int(period)
    except ValueError:
        return None
    return microseconds / of if microseconds > 0 and of > 0 else None


@dataclass(frozen=True, slots=True)
class _Mount:
    """A mounted cgroup hierarchy. `controller` is "" for version 2 and "cpu" for version 1."""

    controller: str
    root: str
    point: str

    def directories(self, membership: str | None) -> list[str]:
        """The directory of our own cgroup and those of its ancestors, as far as this mount shows them."""
        if membership is None:
            return []
        try:
            inside = PurePosixPath(membership).relative_to(self.root)
        except ValueError:
            inside = PurePosixPath()
        if ".." in inside.parts:
            inside = PurePosixPath()
        own = PurePosixPath(self.point) / inside
        return [str(own), *(str(parent) for parent in own.parents if parent.is_relative_to(self.point))]


def _memberships(text: str) -> dict[str, str]:
    """Reads `/proc/self/cgroup`: lines of `id:controller,controller:path`."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            found.update(dict.fromkeys(parts[1].split(","), parts[2]))
    return found


def _mounts(text: str) -> list[_Mount]:
    """Reads `/proc/self/mountinfo`: `id parent device root point options [tags] - type source super-options`."""
    found: list[_Mount] = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2":
            found.append(_Mount("", fields[3], fields[4]))
        elif kind[0] == "cgroup" and "cpu" in kind[2].split(","):
            found.append(_Mount("cpu", fields[3], fields[4]))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
