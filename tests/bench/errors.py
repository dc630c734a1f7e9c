"""The one exception of the benchmark."""

from __future__ import annotations


class BenchError(Exception):
    """A figure does not count, or the benchmark cannot go on; the message says why."""
