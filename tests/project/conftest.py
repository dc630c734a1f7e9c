"""The wheel, built once for the tests that look at it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BUILD_TIMEOUT = 1800.0
"""Seconds. A first build of the optimised core takes minutes; behind `make test` it is there and only packed."""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("wheel")
    maturin = str(Path(sys.executable).with_name("maturin"))
    command = [maturin, "build", "--release", "--locked", "--quiet", "--out", str(directory)]
    subprocess.run(command, cwd=ROOT, check=True)
    (built,) = directory.glob("*.whl")
    return built
