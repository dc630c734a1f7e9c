"""The generator's report: one line of JSON a second on a descriptor, for whoever started it."""

from __future__ import annotations

import json
import os
import stat
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.load.tally import Tally


class Report:
    """Never waits for its reader: a line that a full pipe does not take is left out."""

    def __init__(self, descriptor: int) -> None:
        """OSError: no such descriptor."""
        self._descriptor = descriptor
        self._waits = not stat.S_ISFIFO(os.fstat(descriptor).st_mode)
        if not self._waits:
            os.set_blocking(descriptor, False)

    def write(self, seconds: float, tallies: Mapping[str, Tally]) -> None:
        """`seconds`: the span that the tallies are of. BrokenPipeError: nobody reads any more."""
        try:
            os.write(self._descriptor, line(time.time(), seconds, tallies))
        except BlockingIOError:
            return


def line(now: float, seconds: float, tallies: Mapping[str, Tally]) -> bytes:
    """`{"time": ..., "seconds": 1.0, "regions": {client region: {"sent": ..., "ok": ..., ...}}}`."""
    regions = {region: tally.document() for region, tally in tallies.items()}
    return json.dumps({"time": round(now, 3), "seconds": round(seconds, 3), "regions": regions}).encode() + b"\n"
