"""Times of the model in the snapshot's unit."""

from __future__ import annotations


def milliseconds(seconds: float) -> int:
    """At least 1 for what is not zero, as zero often means never."""
    return max(1, round(seconds * 1000)) if seconds > 0 else 0
