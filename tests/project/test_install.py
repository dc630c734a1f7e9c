"""The wheel and its lock make a working command in an environment that knows nothing of this tree."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.project.conftest import BUILD_TIMEOUT, ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.real, pytest.mark.timeout(BUILD_TIMEOUT)]


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a fresh environment: the runtime lock, then the wheel alone."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "pip"), "install", "--quiet"]
    subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements" / "runtime.lock")], check=True)
    subprocess.run([*pip, "--no-index", "--no-deps", str(wheel)], check=True)
    return environment / "bin"


def test_the_lock_is_all_that_the_wheel_asks_for(programs: Path) -> None:
    done = subprocess.run([programs / "pip", "check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_command_runs(programs: Path, tmp_path: Path) -> None:
    done = subprocess.run([programs / "tidegate", "--help"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
