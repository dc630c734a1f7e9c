"""Taking a new configuration over: what is noticed, what is refused, and what goes on."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.configuration.model import GatewayConfig
from gateway.lifecycle.reload import Loaded, Reloader, ReloadReport
from gateway.lifecycle.sources import stamps, stamps_since
from tests.process.fakes import SnapshotError, plain_config

LONG_AGO = time.time() + 60


def mount(volume: Path, **files: str) -> None:
    """Puts files into a directory as a kubelet does: a new directory, then `..data` renamed over the old link."""
    directory = volume / f"..{time.monotonic_ns()}"
    directory.mkdir(parents=True)
    for name, text in files.items():
        (directory / name).write_text(text)
        if not (volume / name).is_symlink():
            (volume / name).symlink_to(Path("..data") / name)
    link = volume / "..data_tmp"
    link.symlink_to(directory.name)
    link.rename(volume / "..data")


def rewrite(path: Path) -> None:
    path.write_text("changed text")


def rename_over(path: Path) -> None:
    """The same length and times as before: only the inode and its change time tell."""
    facts = path.stat()
    fresh = path.with_name("fresh")
    fresh.write_text("TEXT")
    os.utime(fresh, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    fresh.rename(path)


@pytest.mark.parametrize("change", [rewrite, rename_over, Path.unlink])
def test_every_way_to_change_a_file_shows(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("text")
    before = stamps([path])
    assert stamps([path]) == before
    change(path)
    assert stamps([path]) != before


def test_a_volume_that_is_exchanged_shows(tmp_path: Path) -> None:
    mount(tmp_path, **{"tls.crt": "1", "tls.key": "1"})
    before = stamps([tmp_path / "tls.crt"]), stamps([tmp_path])
    mount(tmp_path, **{"tls.crt": "2", "tls.key": "2"})
    assert stamps([tmp_path / "tls.crt"]) != before[0]
    assert stamps([tmp_path]) != before[1]


def test_a_file_that_changes_inside_a_directory_shows(tmp_path: Path) -> None:
    (tmp_path / "tls.crt").write_text("1")
    before = stamps([tmp_path])
    (tmp_path / "tls.crt").write_text("22")
    assert stamps([tmp_path]) != before


def test_what_changed_after_it_was_read_never_matches(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text("text")
    changed = path.stat().st_ctime
    assert stamps_since([path], changed - 1) != stamps([path])
    assert stamps_since([path], changed + 1) == stamps([path])


@dataclass(frozen=True)
class Read:
    config: GatewayConfig
    warnings: tuple[str, ...] = ()


@dataclass
class World:
    """Stands for configuration and gateway: what `load` returns, and what was applied."""

    path: Path
    fault: Exception | None = None
    refusal: Exception | None = None
    applied: list[GatewayConfig] = field(default_factory=list)
    extra: tuple[Path, ...] = ()

    def load(self) -> Loaded:
        if self.fault is not None:
            raise self.fault
        return Read(plain_config(sources=(self.path, *self.extra)))

    async def apply(self, loaded: Loaded) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.applied.append(loaded.config)

    def reloader(self) -> Reloader:
        def sources(config: GatewayConfig) -> Iterable[Path]:
            return config.sources

        serving = Read(plain_config(sources=(self.path,)))
        return Reloader(self.load, self.apply, sources, serving, LONG_AGO, interval=0.02)


@pytest.fixture
def world(tmp_path: Path) -> World:
    path = tmp_path / "gateway.yaml"
    path.write_text("text")
    return World(path)


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  what is waited for is a count, not an event
            await asyncio.sleep(0.005)


async def test_a_changed_file_is_taken_over_once(world: World) -> None:
    reloader = world.reloader()
    running = asyncio.create_task(reloader.run())
    rewrite(world.path)
    await until(lambda: reloader.report.applied == 1)
    await asyncio.sleep(0.2)
    assert reloader.report.applied == 1
    rename_over(world.path)
    await until(lambda: reloader.report.applied == 2)
    running.cancel()


async def test_a_request_reloads_whether_or_not_anything_changed(world: World) -> None:
    reloader = world.reloader()
    running = asyncio.create_task(reloader.run())
    reloader.request()
    await until(lambda: reloader.report.applied == 1)
    running.cancel()


@pytest.mark.parametrize(
    "fault",
    [
        ValueError("the file is empty"),
        OSError(98, "Address already in use"),
        SnapshotError(["listeners[0]: no certificate", "routes: none"]),
        RuntimeError("a fault of ours"),
    ],
)
@pytest.mark.parametrize("stage", ["fault", "refusal"])
async def test_a_bad_configuration_is_refused_and_the_next_good_one_taken(
    world: World, fault: Exception, stage: str, caplog: pytest.LogCaptureFixture
) -> None:
    reloader = world.reloader()
    running = asyncio.create_task(reloader.run())
    setattr(world, stage, fault)
    rewrite(world.path)
    await until(lambda: reloader.report.refused == 1)
    assert world.applied == []
    assert reloader.report.refused_at is not None
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    for problem in reloader.report.problems:
        assert problem.split(": ")[-1] in caplog.text
    setattr(world, stage, None)
    rename_over(world.path)
    await until(lambda: reloader.report.applied == 1)
    assert reloader.report == ReloadReport(applied=1, refused=1)
    running.cancel()


async def test_a_file_that_a_refused_configuration_names_may_arrive_later(world: World, tmp_path: Path) -> None:
    certificate = tmp_path / "late.crt"
    world.extra, world.refusal = (certificate,), ValueError("late.crt is absent")
    reloader = world.reloader()
    running = asyncio.create_task(reloader.run())
    rewrite(world.path)
    await until(lambda: reloader.report.refused == 1)
    world.refusal = None
    certificate.write_text("here")
    await until(lambda: reloader.report.applied == 1)
    running.cancel()
