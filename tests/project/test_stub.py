"""The stub says of the native module what is so: names, parameters, finality."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# The wheel's `tidegate_core` is a package around the library of the same name; only the package is the contract.
ALLOWED = r"tidegate_core\.tidegate_core"


def test_stub_agrees_with_the_module(tmp_path: Path) -> None:
    allowlist = tmp_path / "allowed"
    allowlist.write_text(f"{ALLOWED}\n")
    command = [sys.executable, "-m", "mypy.stubtest", "tidegate_core", "--allowlist", str(allowlist)]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "NO_COLOR": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_stub_at_the_root_is_the_one_in_core() -> None:
    """Maturin looks for it at the root, people look for it beside the crates."""
    assert (ROOT / "tidegate_core.pyi").resolve() == ROOT / "core" / "tidegate_core.pyi"
