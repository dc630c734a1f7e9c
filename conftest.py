"""What all tests share: the marker `real`, by which a test names the programs that it needs."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.project.real_parts import search_path

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_configure() -> None:
    """Puts the parts that `make test-real` built or installed on PATH, for the tests and what they start."""
    os.environ["PATH"] = search_path()


def pytest_runtest_setup(item: pytest.Item) -> None:
    absent = sorted(program for program in _programs(item) if shutil.which(program) is None)
    if absent:
        pytest.skip(f"absent: {', '.join(absent)} (make test-real installs what it can)")


def _programs(item: pytest.Item) -> Iterator[str]:
    for mark in item.iter_markers("real"):
        yield from mark.args
