"""The example of `tidegate_world` passes, in a pytest of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import ROOT

pytest.importorskip("tidegate_core", reason="the native module is not built: run make build")

EXAMPLE = ROOT / "docs" / "examples" / "regions-in-pytest"
SECONDS = 110.0


def test_the_example_passes(tmp_path: Path) -> None:
    options = ["-p", "infra.world.pytest_plugin", "-p", "no:cacheprovider", f"--rootdir={EXAMPLE}", "-c", "/dev/null"]
    command = [sys.executable, "-m", "pytest", *options, f"--basetemp={tmp_path / 'base'}", str(EXAMPLE)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 passed" in run.stdout
