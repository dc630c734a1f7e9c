"""What commands print: data on standard output, everything else on standard error."""

from __future__ import annotations

import sys


def write(text: str) -> None:
    """Data. Flushed, because whoever reads it through a pipe may wait for it."""
    print(text, flush=True)


def tell(text: str) -> None:
    """Progress, advice and errors."""
    print(text, file=sys.stderr, flush=True)
