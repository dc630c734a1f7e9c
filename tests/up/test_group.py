"""The processes of a world."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from infra.world.children import Child, ChildError
from infra.world.group import ProcessGroup
from tests.support.waiting import wait_for


async def test_a_child_that_does_not_announce_itself_in_time_is_ended(tmp_path: Path) -> None:
    """Else it would keep its address from the next that is started in its place."""
    process = tmp_path / "process"
    script = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(600)"
    child = Child("silent", (sys.executable, "-c", script, str(process)), announces=True)
    async with ProcessGroup(tmp_path / "logs", 2.0) as group:
        with pytest.raises(ChildError, match="was not ready after 2 s"):
            await group.start(child)
        if process.exists():
            wait_for("its end", lambda: not _runs(int(process.read_text())))


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
