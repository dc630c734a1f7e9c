"""What pyproject.toml asks for stands in the locks, once and with hashes."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ("runtime", "build", "develop", "real")
ADVICE = "run `make lock`"


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def asked_for(lock: str) -> list[Requirement]:
    document = pyproject()
    groups = {
        "runtime": document["project"]["dependencies"],
        "build": document["dependency-groups"]["build"],
        "real": document["dependency-groups"]["real"],
    }
    develop = [entry for entry in document["dependency-groups"]["develop"] if isinstance(entry, str)]
    groups["develop"] = groups["runtime"] + groups["build"] + develop
    return [Requirement(line) for line in groups[lock]]


def entries(lock: str) -> list[str]:
    """A lock's requirements, each with its hashes and without comments."""
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    plain = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return [entry for entry in re.split(r"\n(?=\S)", plain.strip()) if entry]


def pinned(lock: str) -> dict[str, set[str]]:
    """Versions by name; several where a marker chooses between them."""
    versions: dict[str, set[str]] = {}
    for entry in entries(lock):
        name, version = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*])?==([^ ;\\]+)", entry).groups()  # type: ignore[union-attr]
        versions.setdefault(canonicalize_name(name), set()).add(version)
    return versions


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_satisfies_what_is_asked_for(lock: str) -> None:
    versions = pinned(lock)
    for requirement in asked_for(lock):
        found = versions.get(canonicalize_name(requirement.name), set())
        assert found, f"{requirement} is not in requirements/{lock}.lock: {ADVICE}"
        assert all(requirement.specifier.contains(version) for version in found), f"{requirement} got {found}: {ADVICE}"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_entry_has_hashes(lock: str) -> None:
    assert [entry for entry in entries(lock) if "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("lock", ["runtime", "build", "real"])
def test_locks_agree_on_versions(lock: str) -> None:
    develop = pinned("develop")
    differing = {name: found for name, found in pinned(lock).items() if develop.get(name, found) != found}
    assert differing == {}, ADVICE
