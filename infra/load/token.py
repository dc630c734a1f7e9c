"""A token that somebody else renews in a file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LOOK_SECONDS = 1.0


class TokenFile:
    """Called, it returns what the file holds, as of a second ago at most."""

    def __init__(self, path: Path) -> None:
        """OSError: it cannot be read."""
        self._path = path
        self._token = path.read_text().strip()
        self._looked = time.monotonic()

    def __call__(self) -> str:
        now = time.monotonic()
        if now - self._looked >= LOOK_SECONDS:
            self._looked = now
            try:
                self._token = self._path.read_text().strip() or self._token
            except OSError:
                # Whoever renews it is between two steps; the last one is good for a while.
                return self._token
        return self._token
