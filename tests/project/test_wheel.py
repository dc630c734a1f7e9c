"""The wheel holds what is used and nothing else, and works where the tree is not."""

from __future__ import annotations

import email
import json
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from tests.project.conftest import BUILD_TIMEOUT

ROOT = Path(__file__).parents[2]
PACKAGES = {"gateway", "healthcheck", "infra", "tidegate_core"}

pytestmark = pytest.mark.timeout(BUILD_TIMEOUT)


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[PurePosixPath]:
    with zipfile.ZipFile(wheel) as archive:
        return [PurePosixPath(name) for name in archive.namelist() if not name.endswith("/")]


def test_one_wheel_serves_every_python_from_3_11(wheel: Path) -> None:
    name, version, python, abi, _ = wheel.stem.split("-")
    assert (name, version, python, abi) == ("tidegate", "0.1.0", "cp311", "abi3")


def test_top_level_is_the_packages(names: list[PurePosixPath]) -> None:
    assert {name.parts[0] for name in names} == PACKAGES | {"tidegate-0.1.0.dist-info"}


def test_nothing_but_code_and_its_data(names: list[PurePosixPath]) -> None:
    """No Rust sources, tests, documents or caches; package data (schemas, pages, descriptors) is welcome."""
    unwanted = {".rs", ".lock", ".md", ".pyc", ".sh", ".mk", ".orig"}
    outside = [name for name in names if "dist-info" not in name.parts[0]]
    assert [name for name in outside if name.suffix in unwanted or "tests" in name.parts] == []


def test_every_python_file_of_the_packages_is_in(names: list[PurePosixPath]) -> None:
    listing = subprocess.run(
        ["git", "ls-files", "gateway", "healthcheck", "infra"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout: nothing to compare with")
    tracked = {PurePosixPath(line) for line in listing.stdout.split() if (ROOT / line).is_file()}
    assert tracked - set(names) == set()


def test_native_module_is_typed(names: list[PurePosixPath]) -> None:
    core = {name.name for name in names if name.parts[0] == "tidegate_core"}
    assert core == {"__init__.py", "__init__.pyi", "py.typed", "tidegate_core.abi3.so"}


def test_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        metadata = email.message_from_bytes(archive.read("tidegate-0.1.0.dist-info/METADATA"))
        scripts = archive.read("tidegate-0.1.0.dist-info/entry_points.txt").decode()
        licenses = archive.read("tidegate-0.1.0.dist-info/licenses/LICENSE").decode()
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    assert "tidegate=infra.cli.main:main" in scripts.replace(" ", "")
    assert licenses == (ROOT / "LICENSE").read_text()


def test_works_outside_the_tree(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # -S keeps this environment's editable install out; its libraries are still found.
    program = f"""
import json, sys
sys.path[:0] = [{str(site)!r}]
sys.path.append({sysconfig.get_path("purelib")!r})
import gateway, healthcheck, infra, tidegate_core
import infra.cli.main
modules = gateway, healthcheck, infra, tidegate_core
print(json.dumps([tidegate_core.__version__, callable(infra.cli.main.main), *[m.__file__ for m in modules]]))
"""
    command = [sys.executable, "-S", "-E", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    version, callable_main, *files = json.loads(done.stdout)
    assert (version, callable_main) == ("0.1.0", True)
    assert [file for file in files if not Path(file).is_relative_to(site)] == []
