"""The file of a twin's state: whose it is, and what becomes of a twin that cannot write it."""

from __future__ import annotations

import resource
import sqlite3
from pathlib import Path

import pytest

from infra.twin.process import TwinOptions
from tests.twin.conftest import Client, Start, running
from tests.twin.test_operations import run_command


async def test_a_file_is_of_one_twin_at_a_time(start: Start, tmp_path: Path) -> None:
    options = TwinOptions(state=tmp_path / "twin.db")
    async with running(options) as first:
        with pytest.raises(OSError, match="another twin"):
            await start(options)
        await first.done("POST", "global/addresses", {"name": "vip"})
    await (await start(options)).get("global/addresses/vip")


async def test_a_file_of_another_version_is_left_alone(start: Start, tmp_path: Path) -> None:
    state = tmp_path / "twin.db"
    with sqlite3.connect(state) as database:
        database.execute("PRAGMA user_version = 2")
    database.close()
    before = state.read_bytes()
    with pytest.raises(OSError, match="of version 2, and this one knows 1"):
        await start(TwinOptions(state=state))
    assert state.read_bytes() == before


async def test_a_file_from_before_versions_is_read(start: Start, tmp_path: Path) -> None:
    state = tmp_path / "twin.db"
    async with running(TwinOptions(state=state)) as first:
        await first.done("POST", "global/addresses", {"name": "vip"})
    with sqlite3.connect(state) as database:
        database.execute("PRAGMA user_version = 0")
    database.close()
    await (await start(TwinOptions(state=state))).get("global/addresses/vip")


async def test_the_file_does_not_grow_with_what_was_once_written(start: Start, tmp_path: Path) -> None:
    client = await start(TwinOptions(state=tmp_path / "twin.db"))
    await client.done("POST", "global/healthChecks", {"name": "check", "type": "TCP"})
    for number in range(200):
        change = {"description": str(number) + "x" * 100_000}
        await client.done("PATCH", "global/healthChecks/check", change)
    assert largest(tmp_path) < 10_000_000


def largest(directory: Path) -> int:
    """Bytes of the largest file; with this as the limit of all, nothing more can be written behind the end of it."""
    return max(path.stat().st_size for path in directory.iterdir())


async def test_a_full_disk_loses_nothing_and_stops_no_reader(client: Client, tmp_path: Path) -> None:
    state = tmp_path / "twin.db"
    process, base = await run_command(state)
    full = Client(client.session, base)
    try:
        await full.done("POST", "global/addresses", {"name": "before"})
        usual = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest(tmp_path), usual[1]))
        status, reason, message = await full.refused("POST", "global/addresses", {"name": "while"})
        assert (status, reason) == (503, "backendError")
        assert "cannot be written" in message
        listed = await full.get("global/addresses")
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, usual)
        assert [item["name"] for item in listed["items"]] == ["before"]
        await full.done("POST", "global/addresses", {"name": "while"})
        process.kill()
        await process.wait()
        process, base = await run_command(state)
        again = await Client(client.session, base).get("global/addresses")
        assert [item["name"] for item in again["items"]] == ["before", "while"]
    finally:
        process.terminate()
        assert await process.wait() == 0
