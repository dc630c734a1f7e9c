"""The import contracts hold, and would notice a breach."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("infra", "gateway", "healthcheck")

BREACHES = {
    "gateway imports infra": ("gateway", "import infra"),
    "healthcheck imports gateway": ("healthcheck", "import gateway"),
    "the gateway imports grpc": ("gateway", "import grpc"),
    "the gateway imports protobuf": ("gateway", "from google.protobuf import descriptor_pb2"),
    "probes import grpc": ("healthcheck", "import grpc.aio"),
    "probes reach grpc through the health server": ("healthcheck", "import healthcheck.server"),
    "the gateway imports the health server": ("gateway", "import healthcheck.server.checks"),
    "the gateway reaches cryptography through another package": ("healthcheck", "import cryptography.x509"),
}


def contracts(tree: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--config", ROOT / "pyproject.toml", "--no-cache"],
        cwd=tree,
        env={"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the packages, which a test may spoil."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_contracts_hold() -> None:
    done = contracts(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("breach", BREACHES)
def test_a_breach_is_noticed(tree: Path, breach: str) -> None:
    package, statement = BREACHES[breach]
    (tree / package / "breach.py").write_text(f"{statement}\n")
    (tree / "gateway" / "reach.py").write_text(f"import {package}.breach\n")
    done = contracts(tree)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{package}.breach" in done.stdout


def test_the_native_module_calls_back_into_no_package() -> None:
    sources = [file for file in (ROOT / "core").glob("*/src/**/*.rs") if "target" not in file.parts]
    calling = [file for file in sources if any(f'import("{package}' in file.read_text() for package in PACKAGES)]
    assert sources
    assert calling == []
