"""The number of workers, from file trees as containers see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.lifecycle.cpus import default_workers, workers

V2_MOUNT = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1_MOUNT = "33 24 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct"


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("cpu_max", "expected"),
    [
        ("max 100000", 8),
        ("50000 100000", 1),
        ("100000 100000", 1),
        ("150000 100000", 2),
        ("1600000 100000", 8),
        ("garbage", 8),
        ("0 0", 8),
    ],
)
def test_version_2_in_a_namespace(tmp_path: Path, cpu_max: str, expected: int) -> None:
    root = tree(
        tmp_path,
        {"proc/self/cgroup": "0::/", "proc/self/mountinfo": V2_MOUNT, "sys/fs/cgroup/cpu.max": cpu_max},
    )
    assert workers(8, root) == expected


def test_the_tightest_of_nested_version_2_groups_counts(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/kubepods/pod1/app",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/kubepods/cpu.max": "800000 100000",
            "sys/fs/cgroup/kubepods/pod1/cpu.max": "250000 100000",
            "sys/fs/cgroup/kubepods/pod1/app/cpu.max": "max 100000",
        },
    )
    assert workers(8, root) == 3


@pytest.mark.parametrize(("quota", "expected"), [("-1", 8), ("20000", 1), ("350000", 4), ("", 8)])
def test_version_1(tmp_path: Path, quota: str, expected: int) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/x\n3:cpu,cpuacct:/docker/1\n0::/",
            "proc/self/mountinfo": V1_MOUNT,
            "sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us": quota,
            "sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000",
        },
    )
    assert workers(8, root) == expected


def test_version_1_in_a_container_that_sees_its_group_as_the_root(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "3:cpu,cpuacct:/docker/1",
            "proc/self/mountinfo": V1_MOUNT.replace(" / ", " /docker/1 "),
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "200000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
        },
    )
    assert workers(8, root) == 2


def test_both_versions_side_by_side(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "3:cpu,cpuacct:/\n0::/",
            "proc/self/mountinfo": V1_MOUNT + "\n" + V2_MOUNT.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified"),
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "400000",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/unified/cpu.max": "300000 100000",
        },
    )
    assert workers(8, root) == 3


def test_a_group_outside_of_the_namespace_is_looked_for_no_further(tmp_path: Path) -> None:
    root = tree(
        tmp_path,
        {
            "proc/self/cgroup": "0::/../../other",
            "proc/self/mountinfo": V2_MOUNT,
            "sys/fs/cgroup/cpu.max": "200000 100000",
        },
    )
    assert workers(8, root) == 2


def test_affinity_alone_counts_where_there_is_no_quota(tmp_path: Path) -> None:
    assert workers(3, tmp_path) == 3


def test_there_is_always_one(tmp_path: Path) -> None:
    assert workers(0, tmp_path) == 1


def test_this_machine_has_an_answer() -> None:
    assert default_workers() >= 1
