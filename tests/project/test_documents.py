"""Links between the documents lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")]


def anchors(document: Path) -> set[str]:
    """The fragments that its headings make, as code hosts spell them."""
    headings = re.findall(r"^#+ +(.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links(document: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text()):
        path, _, fragment = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = document.parent / path if path else document
        if not target.exists() or (fragment and fragment not in anchors(target)):
            broken.append(link)
    assert broken == []


REASONS = {
    "worker/answer.rs": r'(?:::[A-Z_]+, |reason: |[{] )"([a-z-]+)"',
    "worker/finish.rs": r'reason = "([^"]+)"',
    "http1/error.rs": r'\d{3}, "([^"]+)"',
    "authenticate/status.rs": r'=> "([a-z0-9-]+)"',
}


@pytest.mark.parametrize("file", REASONS)
def test_every_reason_is_documented(file: str) -> None:
    source = (ROOT / "core/datapath/src" / file).read_text()
    named = set(re.findall(REASONS[file], source))
    described = (ROOT / "docs/reference/access-log.md").read_text()
    assert named
    assert {reason for reason in named if f"`{reason}`" not in described} == set()


def test_there_is_something_to_read() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= {document.name for document in DOCUMENTS}
