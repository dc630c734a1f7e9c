"""The shape of a table of fields.

There is one table for each schema of the discovery document whose members the twin tells apart. A field whose own
schema has no table is taken whole: what holds for it holds for everything in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Handling = Literal["honoured", "stored", "refused", "output", "dropped"]
"""What becomes of a field.

- `honoured`: the traffic, or what the API answers elsewhere, follows it.
- `stored`: given back as it was set, and without effect.
- `refused`: 400.
- `output`: the server's own; what a client sends is ignored.
- `dropped`: taken, without effect, and not given back.
"""

Notes = Mapping[str, str]
"""Fields by name, each with what there is to add; `` for nothing."""


def plain(names: str) -> dict[str, str]:
    """Fields, separated by spaces, of which there is nothing to add."""
    return dict.fromkeys(names.split(), "")


@dataclass(frozen=True, slots=True)
class Table:
    """`schema` is the document's name. `only`: the values of an enum that are taken; others are refused."""

    schema: str
    title: str
    honoured: Notes = field(default_factory=dict)
    stored: Notes = field(default_factory=dict)
    refused: Notes = field(default_factory=dict)
    output: Notes = field(default_factory=dict)
    dropped: Notes = field(default_factory=dict)
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def rows(self) -> Iterator[tuple[str, Handling, str]]:
        """(field, handling, note), sorted by field within each handling."""
        parts: tuple[tuple[Handling, Notes], ...] = (
            ("honoured", self.honoured),
            ("refused", self.refused),
            ("stored", self.stored),
            ("dropped", self.dropped),
            ("output", self.output),
        )
        for handling, notes in parts:
            for name in sorted(notes):
                yield name, handling, notes[name]

    def handling(self, name: str) -> Handling:
        """That of one field. KeyError: the table does not have it."""
        return {known: handling for known, handling, _ in self.rows()}[name]


NAMED = {"name": "what others refer to it by; there is one of a name"}
FINGERPRINT = {"fingerprint": "a PATCH or PUT needs the newest; else 412"}
SERVER = plain("creationTimestamp id kind selfLink")
LABELS = {"labels": "as set at first, or by `setLabels`"}
LABEL_FINGERPRINT = {"labelFingerprint": "`setLabels` compares the one that it is given, if any; else 412"}
KNOWN = "has to be there"
"""The note of a reference without effect."""
