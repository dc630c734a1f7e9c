"""The Makefile explains itself."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def makefiles() -> str:
    files = [ROOT / "Makefile", *sorted((ROOT / "tests").glob("*/*.mk"))]
    return "\n".join(file.read_text() for file in files)


def make(*arguments: str) -> str:
    return subprocess.run(["make", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def listed() -> set[str]:
    return set(re.findall(r"^  make ([a-z-]+) ", make("help"), re.MULTILINE))


def test_help_lists_every_public_target() -> None:
    phony = {name for names in re.findall(r"^\.PHONY: (.+)$", makefiles(), re.MULTILINE) for name in names.split()}
    parts = {name for name in phony if name.startswith("lint-")} | {"toolchain"}
    assert listed() == phony - parts


def test_what_the_readme_promises_exists() -> None:
    readme = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    mentioned = set(re.findall(r"`make ([a-z-]+)[^`]*`", readme))
    assert mentioned <= listed()
    assert mentioned >= {"run", "test"}


def test_make_alone_shows_the_help() -> None:
    assert make() == make("help")


def test_every_explanation_fits_a_terminal() -> None:
    assert [line for line in make("help").splitlines() if len(line) > 120] == []
