"""The one family of a world's errors."""

from __future__ import annotations


class WorldError(Exception):
    """A world cannot be started, or not be changed as was asked; the message says why and what to do."""
