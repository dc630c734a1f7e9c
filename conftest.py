"""What all tests share: the marker `real`, by which a test names the programs that it needs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent
BUILT_PARTS = ROOT / ".cache" / "bin"
SYSTEM_PROGRAMS = "/usr/sbin:/sbin"


def pytest_configure() -> None:
    """Puts the parts that `make test-real` built or installed on PATH, for the tests and what they start."""
    os.environ["PATH"] = os.pathsep.join((str(BUILT_PARTS), os.environ.get("PATH", os.defpath), SYSTEM_PROGRAMS))


def pytest_runtest_setup(item: pytest.Item) -> None:
    absent = sorted(program for program in _programs(item) if shutil.which(program) is None)
    if absent:
        pytest.skip(f"absent: {', '.join(absent)} (make test-real installs what it can)")


def _programs(item: pytest.Item) -> Iterator[str]:
    for mark in item.iter_markers("real"):
        yield from mark.args
